using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct TokenCountsArguments
{
    /// <summary>Token ids (int), and the table of <see cref="GpuSamplingRow.Counts"/>.</summary>
    public long Tokens, Counts;

    public int Count;
}

/// <summary>Marks the tokens of a prompt in a table of zeros: one thread a token.</summary>
internal static class GpuTokenCounts
{
    public static readonly GpuKernel<TokenCountsArguments> MarkKernel = new(Mark);

    private static void Mark(TokenCountsArguments a)
    {
        for (int i = (Grid.IdxX * Group.DimX) + Group.IdxX; i < a.Count; i += Grid.DimX * Group.DimX)
            Global.StoreInt(a.Counts + ((long)Global.LoadInt(a.Tokens + ((long)i * sizeof(int))) * sizeof(int)), 1);
    }
}
