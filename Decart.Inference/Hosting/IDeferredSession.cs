using Microsoft.Extensions.AI;

namespace Decart.Inference.Hosting;

/// <summary>A session that makes its own clients, because its model may not be loaded yet.</summary>
internal interface IDeferredSession
{
    /// <inheritdoc cref="LlmSessionExtensions.AsChatClient"/>
    IChatClient CreateChatClient(ChatTemplate? template);

    /// <inheritdoc cref="LlmSessionExtensions.AsEmbeddingGenerator"/>
    IEmbeddingGenerator<string, Embedding<float>> CreateEmbeddingGenerator(EmbeddingOptions? options);
}
