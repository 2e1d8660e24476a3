using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct GatherArguments
{
    public long Indices, X, Y;
    public int RowBytes;
}

/// <summary>y[i] = x[indices[i]] for rows of a multiple of 16 bytes: one group a row.</summary>
internal static class GpuGather
{
    public static readonly GpuKernel<GatherArguments> Kernel = new(Run);

    private static void Run(GatherArguments a)
    {
        int row = Grid.IdxX;
        long source = a.X + ((long)Global.LoadInt(a.Indices + (row * sizeof(int))) * a.RowBytes), destination = a.Y + ((long)row * a.RowBytes);
        for (int i = Group.IdxX * 16; i < a.RowBytes; i += Group.DimX * 16) Global.Store16(destination + i, Global.Load16(source + i));
    }
}
