namespace Decart.Inference;

/// <summary>
/// What applications use of a session: <see cref="LlmSession"/> in production, anything that they write themselves in their tests. Implementations are safe for use by any
/// number of threads.
/// </summary>
public interface ILlmSession : IAsyncDisposable
{
    /// <inheritdoc cref="LlmSession.Model"/>
    ModelInfo Model { get; }

    /// <inheritdoc cref="LlmSession.Tokenizer"/>
    ITokenizer Tokenizer { get; }

    /// <inheritdoc cref="LlmSession.ChatTemplate"/>
    ChatTemplate? ChatTemplate { get; }

    /// <inheritdoc cref="LlmSession.GenerateAsync"/>
    Task<GenerationResult> GenerateAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="LlmSession.StreamAsync"/>
    IAsyncEnumerable<GenerationUpdate> StreamAsync(Prompt prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="LlmSession.NextTokenLogitsAsync"/>
    Task<float[]> NextTokenLogitsAsync(Prompt prompt, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="LlmSession.ScoreAsync"/>
    Task<IReadOnlyList<TokenLogprobs>> ScoreAsync(Prompt prompt, int topLogprobs = 0, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="LlmSession.EmbedAsync"/>
    Task<float[]> EmbedAsync(Prompt prompt, EmbeddingOptions? options = null, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="LlmSession.GetStatistics"/>
    SessionStatistics GetStatistics();
}
