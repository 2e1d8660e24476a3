using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.TensorParallel;

namespace Decart.Inference.Tests.Models;

/// <summary>Several devices as one.</summary>
internal static class ParallelDevices
{
    /// <summary>Ranks that are threads of the processor.</summary>
    public static ParallelBackend Cpu(int ranks) => new(
        [.. Enumerable.Range(0, ranks).Select(_ => new CpuBackend(threads: 1))],
        new CpuRankExchange(ranks),
        [.. Enumerable.Range(0, ranks).Select(rank => $"cpu {rank}")]);
}
