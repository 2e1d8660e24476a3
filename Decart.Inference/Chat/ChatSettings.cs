using Decart.Inference.Chat.Answers;
using Decart.Inference.Diagnostics;
using Decart.Inference.Values;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat;

/// <summary>The options of a chat client as those of a session; what a local model cannot do is refused.</summary>
internal static class ChatSettings
{
    /// <exception cref="NotSupportedException">An option asks for something that is not there.</exception>
    public static void RequireSupported(ChatOptions options, ModelInfo model)
    {
        if (options.ResponseFormat is not (null or ChatResponseFormatText or ChatResponseFormatJson))
            throw new NotSupportedException($"The response format {options.ResponseFormat.GetType().Name} is not known: answers are text or JSON.");
        if (options.ConversationId is not null) throw new NotSupportedException("No conversations are kept on this side: send the messages of the conversation, without an id.");
        if (options.Reasoning?.Output is ReasoningOutput.Summary) throw new NotSupportedException("What the model thinks is not summarised: ask for all of it, or for none.");
        if (options.AllowBackgroundResponses is true || options.ContinuationToken is not null) throw new NotSupportedException("Answers are not computed in the background.");
        ModelName.Require(options.ModelId, model);
    }

    /// <summary>How the answer is sampled: what the options say, else what their factory of our own options says, else the model's defaults.</summary>
    public static GenerationOptions Generation(ILlmSession session, IChatClient client, ChatOptions options)
    {
        GenerationOptions own = options.RawRepresentationFactory?.Invoke(client) switch
        {
            null => new GenerationOptions { MaxTokens = session.Model.ContextLength },
            GenerationOptions given => given,
            { } other => throw new ArgumentException($"The raw representation must be {nameof(GenerationOptions)}, not {other.GetType().Name}."),
        };
        return own with
        {
            MaxTokens = options.MaxOutputTokens ?? own.MaxTokens,
            Temperature = options.Temperature ?? own.Temperature,
            TopP = options.TopP ?? own.TopP,
            TopK = options.TopK ?? own.TopK,
            FrequencyPenalty = options.FrequencyPenalty ?? own.FrequencyPenalty,
            PresencePenalty = options.PresencePenalty ?? own.PresencePenalty,
            Seed = options.Seed ?? own.Seed,
            StopSequences = [.. own.StopSequences, .. options.StopSequences ?? []],
            WrittenTokens = WrittenTokens(session.Tokenizer),
            Operation = TelemetryNames.Operations.Chat,
        };
    }

    /// <summary>The special tokens that answers are read by.</summary>
    private static Dictionary<int, string> WrittenTokens(ITokenizer tokenizer) => AnswerReader.Marks
        .Where(tokenizer.SpecialTokens.ContainsKey)
        .ToDictionary(mark => tokenizer.SpecialTokens[mark]);
}
