using System.Runtime.CompilerServices;
using Decart.Inference.Chat.Answers;
using Decart.Inference.Diagnostics;
using Decart.Inference.Values;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat;

/// <summary>A session as a chat client. Keeps nothing between calls, so any number of threads may call it at once.</summary>
internal sealed class SessionChatClient(ILlmSession session, ChatTemplate template) : IChatClient
{
    private readonly ChatClientMetadata _metadata = Metadata(session.Model.Source);
    private readonly AnswerGrammar _grammars = new();

    /// <summary>What chat clients say of a model.</summary>
    public static ChatClientMetadata Metadata(string path) => new(TelemetryNames.Provider, defaultModelId: ModelName.Of(path));

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);

    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return StreamAsync(messages, options, cancellationToken);
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        if (serviceType == typeof(ChatClientMetadata)) return _metadata;
        if (serviceType == typeof(ChatTemplate)) return template;
        return serviceType.IsInstanceOfType(session) ? session : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>The session is its owner's.</summary>
    public void Dispose() { }

    private async IAsyncEnumerable<ChatResponseUpdate> StreamAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ChatRequest request = ChatRequest.Create(session, template, _grammars, this, messages, options, cancellationToken);
        Answer answer = new(request, _metadata.DefaultModelId);
        await foreach (GenerationUpdate update in session.StreamAsync(request.Prompt, request.Options, cancellationToken).ConfigureAwait(false))
        {
            if (answer.Append(update) is { } response) yield return response;
        }
    }

    /// <summary>One answer as it is generated.</summary>
    private sealed class Answer(ChatRequest request, string? modelId)
    {
        private readonly AnswerReader _reader = new(request.Calls, request.Thinks);
        private readonly string _id = Guid.NewGuid().ToString("N");
        private readonly DateTimeOffset _time = DateTimeOffset.UtcNow;
        private int _calls;
        private long _thoughtTokens;

        /// <summary>Takes more of the answer; null while there is nothing to pass on.</summary>
        public ChatResponseUpdate? Append(GenerationUpdate update)
        {
            if (_reader.IsThinking) _thoughtTokens += update.TokenIds.Count;
            List<AIContent> contents = _reader.Append(update.Text);
            if (update.FinishReason is not null) contents.AddRange(_reader.Flush());
            contents.RemoveAll(content => content is TextReasoningContent && !request.ShowsThoughts);
            contents.RemoveAll(content => content is FunctionCallContent && ++_calls > request.MostCalls);
            if (update.Usage is { } usage) contents.Add(new UsageContent(Usage(usage)));
            bool isSilent = contents.Count == 0 && update.FinishReason is null && update.Logprobs is null;
            return isSilent ? null : new ChatResponseUpdate(ChatRole.Assistant, contents)
            {
                RawRepresentation = update,
                ResponseId = _id,
                MessageId = _id,
                ModelId = modelId,
                CreatedAt = _time,
                FinishReason = update.FinishReason switch
                {
                    null => null,
                    FinishReason.Length => ChatFinishReason.Length,
                    FinishReason.Cancelled => new ChatFinishReason("cancelled"),
                    _ => _reader.Calls > 0 ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
                },
            };
        }

        private UsageDetails Usage(Usage usage) => new()
        {
            InputTokenCount = usage.PromptTokens,
            CachedInputTokenCount = usage.CachedPromptTokens,
            OutputTokenCount = usage.CompletionTokens,
            TotalTokenCount = usage.PromptTokens + usage.CompletionTokens,
            ReasoningTokenCount = _thoughtTokens,
        };
    }
}
