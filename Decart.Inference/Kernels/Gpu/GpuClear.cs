using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct ClearArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    public long Y;

    /// <summary>Elements of a row, padding included.</summary>
    public int Stride;
}

/// <summary>Rows of float32 become zeros, also in steps that are recorded. One group a row.</summary>
internal static class GpuClear
{
    public static readonly GpuKernel<ClearArguments> Kernel = new(Run, groupSize: 256) { StartsEarly = true };

    private static void Run(ClearArguments a)
    {
        GridDependency.LaunchDependents();
        int row = Grid.IdxX, rows = Global.LoadInt(a.Count);
        GridDependency.Wait();
        if (row >= rows) return;
        for (int i = 4 * Group.IdxX; i < a.Stride; i += 4 * Group.DimX) Global.StoreFloat4(a.Y + ((((long)row * a.Stride) + i) * sizeof(float)), default);
    }
}
