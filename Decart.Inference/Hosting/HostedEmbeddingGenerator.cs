using Decart.Inference.Embeddings;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Hosting;

/// <summary>The generator of embeddings of a hosted model, from the beginning: calls wait until the model is loaded.</summary>
internal sealed class HostedEmbeddingGenerator(HostedModel model, HostedSession session, EmbeddingOptions? options) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly Lazy<IEmbeddingGenerator<string, Embedding<float>>> _loaded = new(() => model.RequireSession().AsEmbeddingGenerator(options));

    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        await model.GetAsync(cancellationToken).ConfigureAwait(false);
        return await _loaded.Value.GenerateAsync(values, options, cancellationToken).ConfigureAwait(false);
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        if (serviceType.IsInstanceOfType(this)) return this;
        if (serviceType.IsInstanceOfType(session)) return session;
        if (model.Session is not null) return _loaded.Value.GetService(serviceType);
        return serviceType == typeof(EmbeddingGeneratorMetadata) ? SessionEmbeddingGenerator.Metadata(model.Options.Model, options?.Dimensions) : null;
    }

    /// <summary>The session is the host's.</summary>
    public void Dispose() { }
}
