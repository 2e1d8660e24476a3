using System.Collections.Frozen;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Loading;
using Decart.Inference.Memory;
using Decart.Inference.Models;
using Decart.Inference.Tests.Models;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Session;

/// <summary>Sessions over kernels for GPUs, on any device that runs them.</summary>
internal static class GpuSessions
{
    /// <summary>A session over random weights in the shape that a folder's config.json describes, with room for few tokens.</summary>
    public static LlmSession OpenRandom(string folder, GpuBackend backend)
    {
        Decoder decoder = Decoders.LoadRandom(folder, backend, maxBatchTokens: 16, maxBatchSequences: 4, seed: 5);
        KvMemory kv = KvMemoryPlan
            .For(backend.Memory, decoder.KvLayout, decoder.ContextLength, sequences: 4, bytes: 64 * decoder.KvLayout.TokenBytes, PagingMode.Table)
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
            new LoadedModel(decoder, kv, null, info, new(), FrozenSet<int>.Empty), new() { MaxBatchTokens = 16, MaxConcurrentSequences = 4, PrefixCaching = false });
    }
}
