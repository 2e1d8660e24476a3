using System.Collections.Frozen;
using Decart.Inference.Memory;
using Decart.Inference.Models;

namespace Decart.Inference.Loading;

/// <summary>What loading a checkpoint gives: everything that a session needs. Owns the decoder and what the decoder stands on.</summary>
/// <param name="Decoder">The model.</param>
/// <param name="Kv">The memory of its keys and values.</param>
/// <param name="Tokenizer">Its tokenizer, or null when the checkpoint has none: then only prompts of token ids work.</param>
/// <param name="Info">What it is.</param>
/// <param name="Defaults">The checkpoint's own sampling defaults.</param>
/// <param name="EndOfTextTokens">The tokens that end a completion.</param>
/// <param name="Resources">What is disposed after keys, values and decoder, in this order: the backend, then the mapped files.</param>
internal sealed record LoadedModel(
    IDecoder Decoder,
    KvMemory Kv,
    ITokenizer? Tokenizer,
    ModelInfo Info,
    GenerationOptions Defaults,
    FrozenSet<int> EndOfTextTokens,
    params IReadOnlyList<IDisposable> Resources) : IDisposable
{
    /// <summary>Its chat template, null when the checkpoint has none; asking for one that cannot be read throws.</summary>
    public Lazy<ChatTemplate?> ChatTemplate { get; init; } = new(value: null);

    /// <summary>Whether it gives logits; otherwise it only embeds.</summary>
    public bool HasOutput { get; init; } = true;

    /// <summary>How embeddings are pooled unless a request says otherwise; asking a checkpoint that wants what is not there throws.</summary>
    public Lazy<EmbeddingPooling> Pooling { get; init; } = new(EmbeddingPooling.Mean);

    public void Dispose()
    {
        try
        {
            Kv.Dispose();
        }
        finally
        {
            Decoder.Dispose();
            foreach (IDisposable resource in Resources) resource.Dispose();
        }
    }
}
