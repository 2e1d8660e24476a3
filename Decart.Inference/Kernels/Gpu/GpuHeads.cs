using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Normalises and rotates query and key heads, leaves queries as halves, and writes keys and values where attention reads them: one warp a head. Starts
/// early.
/// </summary>
internal static class GpuHeads
{
    /// <summary>Groups: rows by groups of heads, see <see cref="Groups"/>.</summary>
    public static readonly GpuKernel<AttentionArguments> Kernel = new(Run, Warps * Lanes) { MinArchitecture = 90, StartsEarly = true };

    private const int Warps = 8, Lanes = 32;

    /// <summary>Groups that the heads of a row take on a device with groups of up to that many threads.</summary>
    public static int Groups(AttentionShape shape, int maxGroupSize)
    {
        int warps = Math.Min(Warps, maxGroupSize / Lanes);
        return (shape.Heads + shape.KvHeads + warps - 1) / warps;
    }

    private static void Run(AttentionArguments a)
    {
        ArrayView<float> angles = SharedMemory.Allocate1D<float>(GpuAttention.MaxHeadDim).BaseView;
        GridDependency.LaunchDependents();
        int rowNumber = Grid.IdxX;
        bool used = rowNumber < Global.LoadInt(a.Count);
        GpuRow row = default;
        if (used)
        {
            row = GpuRow.Load(a.Rows, rowNumber);
            GpuRotary.Angles(a, row, Group.IdxX, Group.DimX, angles, 0);
        }
        Group.Barrier();
        GridDependency.Wait();
        int head = (Grid.IdxY * (Group.DimX / Lanes)) + (Group.IdxX / Lanes);
        if (!used || head >= a.Heads + a.KvHeads) return;
        long source = a.Qkv + ((((long)rowNumber * a.QkvStride) + ((long)head * a.HeadDim)) * sizeof(float));
        if (head < a.Heads)
        {
            StoreRotated(a, source, a.QueryNorm, a.QueryEpsilon, QueryAddress(a, rowNumber, head), angles);
            return;
        }
        long key = GpuRow.TokenAddress(row, row.Position) + ((((long)a.Layer * 2 * a.KvHeads) + head - a.Heads) * a.HeadDim * sizeof(ushort));
        StoreRotated(a, source, a.KeyNorm, a.KeyEpsilon, key, angles);
        source += (long)a.KvHeads * a.HeadDim * sizeof(float);
        long value = key + ((long)a.KvHeads * a.HeadDim * sizeof(ushort));
        for (int i = 2 * Warp.LaneIdx; i < a.HeadDim; i += 2 * Lanes)
        {
            long pair = source + (i * sizeof(float));
            Global.StoreInt(value + (i * sizeof(ushort)), (int)Halves.SaturatePair(Global.LoadFloat(pair), Global.LoadFloat(pair + sizeof(float))));
        }
    }

    /// <summary>Where the halves of a query lie.</summary>
    public static long QueryAddress(AttentionArguments a, int row, int head) =>
        a.Queries + ((((long)row * a.Heads) + head) * a.HeadDim * sizeof(ushort));

    private static void StoreRotated(AttentionArguments a, long head, long scales, float epsilon, long destination, ArrayView<float> angles)
    {
        float factor = GpuRotary.NormFactor(head, scales, a.HeadDim, epsilon);
        for (int i = 2 * Warp.LaneIdx; i < a.HeadDim; i += 2 * Lanes)
        {
            float even = GpuRotary.Rotated(a, head, scales, factor, angles, 0, i), odd = GpuRotary.Rotated(a, head, scales, factor, angles, 0, i + 1);
            Global.StoreInt(destination + (i * sizeof(ushort)), (int)Halves.SaturatePair(even, odd));
        }
    }
}
