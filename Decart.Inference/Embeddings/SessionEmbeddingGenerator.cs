using Decart.Inference.Diagnostics;
using Decart.Inference.Values;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Embeddings;

/// <summary>A session as a generator of embeddings. Keeps nothing between calls, so any number of threads may call it at once.</summary>
/// <param name="session">The session.</param>
/// <param name="options">How to embed where a call does not say.</param>
internal sealed class SessionEmbeddingGenerator(ILlmSession session, EmbeddingOptions options) : IEmbeddingGenerator<string, Embedding<float>>
{
    /// <summary>Texts of one call that are in flight together: enough for every step, while the others need no memory.</summary>
    private const int MostInFlight = 256;

    private readonly ITokenizer _tokenizer = session.Tokenizer;

    private readonly EmbeddingGeneratorMetadata _metadata =
        Metadata(session.Model.Source, options.Dimensions ?? (session.Model.HiddenSize > 0 ? session.Model.HiddenSize : null));

    /// <summary>What generators say of a model.</summary>
    public static EmbeddingGeneratorMetadata Metadata(string path, int? dimensions) =>
        new(TelemetryNames.Provider, defaultModelId: ModelName.Of(path), defaultModelDimensions: dimensions);

    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        EmbeddingOptions own = Options(options);
        string[] texts = [.. values];
        int missing = Array.IndexOf(texts, null);
        if (missing >= 0) throw new ArgumentException($"The text at index {missing} is null.", nameof(values));
        cancellationToken.ThrowIfCancellationRequested();
        Embedding<float>[] embeddings = new Embedding<float>[texts.Length];
        long tokens = 0;
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = MostInFlight, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, texts.Length, parallel, async (index, cancellation) =>
        {
            int[] ids = [.. _tokenizer.Encode(texts[index], cancellationToken: cancellation)];
            Interlocked.Add(ref tokens, ids.Length);
            float[] vector = await session.EmbedAsync(ids, own, cancellation).ConfigureAwait(false);
            embeddings[index] = new Embedding<float>(vector) { ModelId = _metadata.DefaultModelId, CreatedAt = DateTimeOffset.UtcNow };
        }).ConfigureAwait(false);
        return new(embeddings) { Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens } };
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        if (serviceType == typeof(EmbeddingGeneratorMetadata)) return _metadata;
        return serviceType.IsInstanceOfType(session) ? session : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>The session is its owner's.</summary>
    public void Dispose() { }

    /// <summary>What a call asks for, else what its factory of our own options says, else what the generator was made with.</summary>
    private EmbeddingOptions Options(EmbeddingGenerationOptions? call)
    {
        if (call is null) return options;
        ModelName.Require(call.ModelId, session.Model);
        if (call.AdditionalProperties is { Count: > 0 } properties) throw new NotSupportedException($"The additional property \"{properties.First().Key}\" is not known.");
        EmbeddingOptions own = call.RawRepresentationFactory?.Invoke(this) switch
        {
            null => options,
            EmbeddingOptions given => given,
            { } other => throw new ArgumentException($"The raw representation must be {nameof(EmbeddingOptions)}, not {other.GetType().Name}."),
        };
        return own with { Dimensions = call.Dimensions ?? own.Dimensions };
    }
}
