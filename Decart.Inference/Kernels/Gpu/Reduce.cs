using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Algorithms.ScanReduceOperations;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Values of all lanes or threads combined; every one of them takes part and receives the result.</summary>
internal static class Reduce
{
    /// <summary>The most warps of a group.</summary>
    public const int MaxWarps = 32;

    public static float WarpSum(float value)
    {
        // Not a loop: neither compiler makes the steps of one follow each other without branches.
        if (Warp.WarpSize > 16) value += Warp.ShuffleXor(value, 16);
        if (Warp.WarpSize > 8) value += Warp.ShuffleXor(value, 8);
        if (Warp.WarpSize > 4) value += Warp.ShuffleXor(value, 4);
        value += Warp.ShuffleXor(value, 2);
        return value + Warp.ShuffleXor(value, 1);
    }

    public static long WarpSum(long value) => WarpExtensions.AllReduce<long, AddInt64>(value);

    /// <summary>The largest, which is a number if all are.</summary>
    public static float WarpMax(float value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
        {
            float other = Warp.ShuffleXor(value, distance);
            value = other > value ? other : value;
        }
        return value;
    }

    /// <inheritdoc cref="WarpMax(float)"/>
    public static int WarpMax(int value)
    {
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2) value = Math.Max(value, Warp.ShuffleXor(value, distance));
        return value;
    }

    /// <summary>
    /// The sum over the group, the same bits in every thread: a tree over the lanes of each warp, and one over the warps, of which there are no more than lanes.
    /// </summary>
    /// <param name="value">The thread's.</param>
    /// <param name="memory">Shared memory.</param>
    /// <param name="place">Where in it <see cref="MaxWarps"/> elements are, for other use after the group's next barrier.</param>
    public static float GroupSum(float value, ArrayView<float> memory, int place)
    {
        StoreWarpSum(value, memory, place);
        Group.Barrier();
        return SumOfWarps(memory, place);
    }

    /// <summary>Two sums with one barrier; they lie in neighbouring places.</summary>
    public static void GroupSums(ref float first, ref float second, ArrayView<float> memory, int place)
    {
        StoreWarpSum(first, memory, place);
        StoreWarpSum(second, memory, place + MaxWarps);
        Group.Barrier();
        first = SumOfWarps(memory, place);
        second = SumOfWarps(memory, place + MaxWarps);
    }

    /// <summary>The largest over the group; memory as in <see cref="GroupSum"/>.</summary>
    public static int GroupMax(int value, ArrayView<float> memory, int place)
    {
        value = WarpMax(value);
        if (Warp.LaneIdx == 0) memory[place + Warps(Group.IdxX)] = Interop.IntAsFloat((uint)value);
        Group.Barrier();
        return WarpMax(Warp.LaneIdx < Warps(Group.DimX) ? (int)Interop.FloatAsInt(memory[place + Warp.LaneIdx]) : 0);
    }

    public static ulong GroupMin(ulong value) => GroupExtensions.AllReduce<ulong, MinUInt64>(value);

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

    private static void StoreWarpSum(float value, ArrayView<float> memory, int place)
    {
        value = WarpSum(value);
        if (Warp.LaneIdx == 0) memory[place + Warps(Group.IdxX)] = value;
    }

    private static float SumOfWarps(ArrayView<float> memory, int place) => WarpSum(Warp.LaneIdx < Warps(Group.DimX) ? memory[place + Warp.LaneIdx] : 0);

    /// <summary>Whole warps of so many threads.</summary>
    private static int Warps(int threads) => Warp.WarpSize == 32 ? threads >> 5 : threads / Warp.WarpSize;
}
