using System.Text.Encodings.Web;
using System.Text.Json;
using Decart.Inference;
using Microsoft.Extensions.AI;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>One answer as it is generated: makes what OpenAI's API calls deltas of a chat client's updates.</summary>
/// <param name="index">Which of the answers it is.</param>
/// <param name="tokenizer">The model's.</param>
internal sealed class ChatDeltas(int index, ITokenizer tokenizer)
{
    private static readonly JsonSerializerOptions ArgumentOptions = new(AIJsonUtilities.DefaultOptions) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, WriteIndented = false };

    private int _calls;

    /// <summary>What the answer has cost; null until it has ended.</summary>
    public UsageDetails? Usage { get; private set; }

    /// <summary>What an update adds; null if it is nothing that is shown.</summary>
    /// <exception cref="ApiException">The session has ended before the answer.</exception>
    public ChatChunkChoice? Next(ChatResponseUpdate update)
    {
        if (update.FinishReason?.Value == "cancelled") throw new ApiException(StatusCodes.Status503ServiceUnavailable, "The server is shutting down.", code: "shutting_down");
        Usage = update.Contents.OfType<UsageContent>().FirstOrDefault()?.Details ?? Usage;
        string text = string.Concat(update.Contents.OfType<TextContent>());
        string thought = string.Concat(update.Contents.OfType<TextReasoningContent>());
        ChatToolCall[] calls = [.. update.Contents.OfType<FunctionCallContent>().Select(call => new ChatToolCall(call.CallId, "function", new FunctionCall(call.Name, Arguments(call)), _calls++))];
        ChatLogprob[] logprobs = Logprobs(update, tokenizer);
        if (text.Length + thought.Length + calls.Length + logprobs.Length == 0 && update.FinishReason is null) return null;
        ChatDelta delta = new(Content: text.Length > 0 ? text : null, ReasoningContent: thought.Length > 0 ? thought : null, ToolCalls: calls.Length > 0 ? calls : null);
        return new ChatChunkChoice(index, delta, logprobs.Length > 0 ? new ChatLogprobs(logprobs) : null, update.FinishReason?.Value);
    }

    /// <summary>The arguments of a call, as JSON.</summary>
    public static string Arguments(FunctionCallContent call) =>
        JsonSerializer.Serialize(call.Arguments ?? new Dictionary<string, object?>(), ArgumentOptions.GetTypeInfo(typeof(IDictionary<string, object?>)));

    /// <summary>The log-probabilities of an update's tokens, but for one that only ended the answer.</summary>
    public static ChatLogprob[] Logprobs(ChatResponseUpdate update, ITokenizer tokenizer) =>
        update.RawRepresentation is GenerationUpdate generated ? [.. TokenTexts.Shown(generated).Select(token => TokenTexts.ForChat(tokenizer, token))] : [];
}
