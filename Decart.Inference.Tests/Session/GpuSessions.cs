using Decart.Inference.Kernels;
using Decart.Inference.Loading;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Models;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions over any devices.</summary>
internal static class GpuSessions
{
    /// <summary>A session over random weights in the shape that a folder's config.json describes, with room for few tokens.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="backend">What computes; the caller disposes it.</param>
    /// <param name="tokens">How many tokens it has room for.</param>
    /// <param name="tokenizer">What texts are made of; null for token ids only.</param>
    /// <param name="paging">How keys and values are found.</param>
    public static LlmSession OpenRandom(string folder, IBackend backend, int tokens = 64, ITokenizer? tokenizer = null, PagingMode paging = PagingMode.Table)
    {
        Decoder decoder = Decoders.LoadRandom(folder, backend, maxBatchTokens: 16, maxBatchSequences: 4, seed: 5);
        KvMemory kv = KvMemoryPlan
            .For(backend.Memory, decoder.KvLayout, decoder.ContextLength, sequences: 4, bytes: tokens * decoder.KvLayout.TokenBytes, paging)
            .Create(backend.Memory, prefixCaching: false, NullLogger.Instance);
        ModelInfo info = new()
        {
            Source = folder,
            Architecture = decoder.Config.Architecture,
            VocabularySize = decoder.VocabularySize,
            HiddenSize = decoder.Config.HiddenSize,
            ContextLength = decoder.ContextLength,
            Device = Device.Cuda(0),
        };
        return new LlmSession(
            new LoadedModel(decoder, kv, tokenizer, info, new(), [.. tokenizer?.EosTokenIds ?? []]), new() { MaxBatchTokens = 16, MaxConcurrentSequences = 4, PrefixCaching = false });
    }
}
