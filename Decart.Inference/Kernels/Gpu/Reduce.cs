using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Values of all lanes or threads combined; every one of them takes part and receives the result.</summary>
internal static class Reduce
{
    /// <summary>The most warps of a group.</summary>
    private const int MaxWarps = 32;

    public static float WarpSum(float value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2) value += Warp.ShuffleXor(value, distance);
        return value;
    }

    public static long WarpSum(long value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2) value += Warp.ShuffleXor(value, distance);
        return value;
    }

    public static float WarpMax(float value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
        {
            float other = Warp.ShuffleXor(value, distance);
            value = other > value ? other : value;
        }
        return value;
    }

    /// <summary>The sum over the group, the same bits in every thread.</summary>
    public static float GroupSum(float value)
    {
        ArrayView<float> sums = SharedMemory.Allocate1D<float>(MaxWarps).BaseView;
        value = WarpSum(value);
        if (Warp.LaneIdx == 0) sums[Group.IdxX / Warp.WarpSize] = value;
        Group.Barrier();
        float sum = 0;
        for (int warp = 0; warp < Group.DimX / Warp.WarpSize; warp++) sum += sums[warp];
        Group.Barrier();
        return sum;
    }

    public static ulong GroupMin(ulong value)
    {
        ArrayView<ulong> minima = SharedMemory.Allocate1D<ulong>(MaxWarps).BaseView;
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
        {
            ulong other = Warp.ShuffleXor(value, distance);
            value = other < value ? other : value;
        }
        if (Warp.LaneIdx == 0) minima[Group.IdxX / Warp.WarpSize] = value;
        Group.Barrier();
        for (int warp = 0; warp < Group.DimX / Warp.WarpSize; warp++) value = minima[warp] < value ? minima[warp] : value;
        Group.Barrier();
        return value;
    }

    /// <summary>The sum over the threads before this one, and over all.</summary>
    public static long GroupScan(long value, out long total)
    {
        ArrayView<long> sums = SharedMemory.Allocate1D<long>(MaxWarps).BaseView;
        long upToThis = value;
        for (int distance = 1; distance < Warp.WarpSize; distance *= 2)
        {
            long other = Warp.ShuffleUp(upToThis, distance);
            upToThis += Warp.LaneIdx >= distance ? other : 0;
        }
        int ownWarp = Group.IdxX / Warp.WarpSize;
        if (Warp.LaneIdx == Warp.WarpSize - 1) sums[ownWarp] = upToThis;
        Group.Barrier();
        long before = upToThis - value;
        total = 0;
        for (int warp = 0; warp < Group.DimX / Warp.WarpSize; warp++)
        {
            long sum = sums[warp];
            before += warp < ownWarp ? sum : 0;
            total += sum;
        }
        Group.Barrier();
        return before;
    }
}
