using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Hosting;

/// <summary>The session of a hosted model, from the beginning: requests wait until the model is loaded. What it is and has cannot be asked before.</summary>
internal sealed class HostedSession(HostedModel model) : ILlmSession, IDeferredSession, IDisposable
{
    public ModelInfo Model => model.RequireSession().Model;

    public ITokenizer Tokenizer => model.RequireSession().Tokenizer;

    public ChatTemplate? ChatTemplate => model.RequireSession().ChatTemplate;

    public async Task<GenerationResult> GenerateAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        LlmSession session = await model.GetAsync(cancellationToken).ConfigureAwait(false);
        return await session.GenerateAsync(prompt, options, cancellationToken).ConfigureAwait(false);
    }

    public IAsyncEnumerable<GenerationUpdate> StreamAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        model.Session is { } session ? session.StreamAsync(prompt, options, cancellationToken) : WaitAndStreamAsync(prompt, options, cancellationToken);

    public async Task<float[]> NextTokenLogitsAsync(Prompt prompt, CancellationToken cancellationToken = default)
    {
        LlmSession session = await model.GetAsync(cancellationToken).ConfigureAwait(false);
        return await session.NextTokenLogitsAsync(prompt, cancellationToken).ConfigureAwait(false);
    }

    public async Task<IReadOnlyList<TokenLogprobs>> ScoreAsync(Prompt prompt, int topLogprobs = 0, CancellationToken cancellationToken = default)
    {
        LlmSession session = await model.GetAsync(cancellationToken).ConfigureAwait(false);
        return await session.ScoreAsync(prompt, topLogprobs, cancellationToken).ConfigureAwait(false);
    }

    public async Task<float[]> EmbedAsync(Prompt prompt, EmbeddingOptions? options = null, CancellationToken cancellationToken = default)
    {
        LlmSession session = await model.GetAsync(cancellationToken).ConfigureAwait(false);
        return await session.EmbedAsync(prompt, options, cancellationToken).ConfigureAwait(false);
    }

    public SessionStatistics GetStatistics() => model.RequireSession().GetStatistics();

    public IChatClient CreateChatClient(ChatTemplate? template) => new HostedChatClient(model, this, template);

    public IEmbeddingGenerator<string, Embedding<float>> CreateEmbeddingGenerator(EmbeddingOptions? options) => new HostedEmbeddingGenerator(model, this, options);

    /// <summary>The session is the host's.</summary>
    public void Dispose() { }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async IAsyncEnumerable<GenerationUpdate> WaitAndStreamAsync(
        Prompt prompt, GenerationOptions? options, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        LlmSession session = await model.GetAsync(cancellationToken).ConfigureAwait(false);
        await foreach (GenerationUpdate update in session.StreamAsync(prompt, options, cancellationToken).ConfigureAwait(false)) yield return update;
    }
}
