using System.Runtime.CompilerServices;
using Decart.Inference.Tests.Session;

namespace Decart.Inference.Tests.Chat;

/// <summary>A session that answers every prompt with a text, in pieces of one character, and remembers what it was asked: what an application would write for its own tests.</summary>
internal sealed class FakeSession(string template, string answer) : ILlmSession
{
    public ModelInfo Model { get; } = new() { Source = "/models/fake", Architecture = "fake", VocabularySize = 300, ContextLength = 1000, Device = Device.Cpu };

    public ITokenizer Tokenizer { get; } = new ByteTokenizer();

    public ChatTemplate? ChatTemplate { get; } = ChatTemplate.Parse(template);

    public FinishReason Ends { get; init; } = FinishReason.Stop;

    public List<(string Prompt, GenerationOptions Options)> Requests { get; } = [];

    public async Task<GenerationResult> GenerateAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        await GenerationResult.CollectAsync(StreamAsync(prompt, options, cancellationToken));

    public async IAsyncEnumerable<GenerationUpdate> StreamAsync(
        Prompt prompt, GenerationOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        lock (Requests) Requests.Add((Tokenizer.Decode(prompt.TokenIds.ToArray()), options!));
        for (int i = 0; i < answer.Length; i += char.IsHighSurrogate(answer[i]) ? 2 : 1)
        {
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            yield return new GenerationUpdate { Text = answer.Substring(i, char.IsHighSurrogate(answer[i]) ? 2 : 1), TokenIds = [0] };
        }
        yield return new GenerationUpdate { FinishReason = Ends, TokenIds = [1], Usage = new Usage(10, 4, answer.Length, default, default) };
    }

    public Task<float[]> NextTokenLogitsAsync(Prompt prompt, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task<IReadOnlyList<TokenLogprobs>> ScoreAsync(Prompt prompt, int topLogprobs = 0, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public Task<float[]> EmbedAsync(Prompt prompt, EmbeddingOptions? options = null, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public SessionStatistics GetStatistics() => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
