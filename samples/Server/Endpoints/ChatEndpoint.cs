using System.Text;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal sealed class ChatEndpoint(IOptions<ServerOptions> options)
{
    public async Task AnswerAsync(HttpContext context, ServedModel model, ChatCompletionRequest request)
    {
        IChatClient client = model.RequireChat();
        ChatCall call = ChatCall.Read(request, model, options.Value);
        int count = GenerationReader.Choices(request.N, prompts: 1, options.Value);
        await using Choices<ChatResponseUpdate> choices = await call.BeginAsync(client, count, error => ChatCall.Locate(error, request), context.RequestAborted);
        ChatDeltas[] deltas = [.. Enumerable.Range(0, count).Select(index => new ChatDeltas(index, model.Session.Tokenizer))];
        Answer answer = new($"chatcmpl-{Guid.NewGuid():N}", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), model.Id);
        if (request.Stream is true) await StreamAsync(context, answer, choices, deltas, request.StreamOptions?.IncludeUsage is true);
        else await JsonBody.WriteAsync(context, await CollectAsync(answer, choices, deltas), ServerJson.Default.ChatCompletion);
    }

    private static async Task StreamAsync(HttpContext context, Answer answer, Choices<ChatResponseUpdate> choices, ChatDeltas[] deltas, bool includesUsage)
    {
        EventStream events = await EventStream.BeginAsync(context);
        await events.RunAsync(async () =>
        {
            foreach (int index in Enumerable.Range(0, deltas.Length)) await SendAsync([new ChatChunkChoice(index, new ChatDelta("assistant", Content: ""), null, null)]);
            await foreach ((int choice, ChatResponseUpdate update) in choices.ReadAllAsync())
            {
                if (deltas[choice].Next(update) is { } delta) await SendAsync([delta]);
            }
            if (includesUsage) await SendAsync([], Usage(deltas));
            await events.EndAsync();
        });

        Task SendAsync(ChatChunkChoice[] pieces, CompletionUsage? usage = null) =>
            events.SendAsync(
                new ChatCompletionChunk(answer.Id, "chat.completion.chunk", answer.Created, answer.Model, pieces) { Usage = new StreamUsage(includesUsage, usage) },
                ServerJson.Default.ChatCompletionChunk);
    }

    private static async Task<ChatCompletion> CollectAsync(Answer answer, Choices<ChatResponseUpdate> choices, ChatDeltas[] deltas)
    {
        Collected[] collected = [.. deltas.Select(_ => new Collected())];
        await foreach ((int choice, ChatResponseUpdate update) in choices.ReadAllAsync())
        {
            if (deltas[choice].Next(update) is { } delta) collected[choice].Add(delta);
        }
        return new ChatCompletion(answer.Id, "chat.completion", answer.Created, answer.Model, [.. collected.Select((choice, index) => choice.ToChoice(index))], Usage(deltas));
    }

    private static CompletionUsage Usage(ChatDeltas[] deltas)
    {
        int prompt = Count(deltas[0].Usage!.InputTokenCount), completion = deltas.Sum(delta => Count(delta.Usage!.OutputTokenCount));
        return new CompletionUsage(
            prompt,
            completion,
            prompt + completion,
            new PromptTokensDetails(Count(deltas[0].Usage!.CachedInputTokenCount)),
            new CompletionTokensDetails(deltas.Sum(delta => Count(delta.Usage!.ReasoningTokenCount))));

        static int Count(long? tokens) => (int)(tokens ?? 0);
    }

    private sealed record Answer(string Id, long Created, string Model);

    /// <summary>An answer that is not streamed.</summary>
    private sealed class Collected
    {
        private readonly StringBuilder _text = new(), _thought = new();
        private readonly List<ChatToolCall> _calls = [];
        private readonly List<ChatLogprob> _logprobs = [];
        private string _finishReason = "";

        public void Add(ChatChunkChoice piece)
        {
            _text.Append(piece.Delta.Content);
            _thought.Append(piece.Delta.ReasoningContent);
            _calls.AddRange((piece.Delta.ToolCalls ?? []).Select(call => call with { Index = null }));
            _logprobs.AddRange(piece.Logprobs?.Content ?? []);
            _finishReason = piece.FinishReason ?? _finishReason;
        }

        public ChatChoice ToChoice(int index)
        {
            string? text = _text.Length == 0 && _calls.Count > 0 ? null : _text.ToString();
            ChatAnswerMessage message = new("assistant", text, Refusal: null, _thought.Length > 0 ? _thought.ToString() : null, _calls.Count > 0 ? _calls : null);
            return new ChatChoice(index, message, _logprobs.Count > 0 ? new ChatLogprobs(_logprobs) : null, _finishReason);
        }
    }
}
