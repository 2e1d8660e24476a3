using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The bins that one thread looks after, the sum of the bins before them, and that of all.</summary>
internal struct GpuShare
{
    public long Before, Own, Total;
}

/// <summary>Where a running sum over bins reaches a number: the bin, what is in it, and how much of it is needed.</summary>
internal struct GpuCrossing
{
    public int Bin;
    public long Needed, Content;
}

/// <summary>
/// Bins of 64-bit sums in a group's shared memory. They are integers, so that the order of additions does not matter, in two words each, because GPUs add
/// 32-bit words there in hardware and 64-bit ones in a loop. Between methods that write and methods that read there must be a barrier.
/// </summary>
internal struct GpuHistogram
{
    public const int Bins = 2048;

    private ArrayView<uint> _low, _high;
    private ArrayView<long> _crossing;

    public static GpuHistogram Allocate() => new()
    {
        _low = SharedMemory.Allocate1D<uint>(Bins).BaseView,
        _high = SharedMemory.Allocate1D<uint>(Bins).BaseView,
        _crossing = SharedMemory.Allocate1D<long>(3).BaseView,
    };

    public static void Clear(GpuHistogram histogram)
    {
        for (int bin = Group.IdxX; bin < Bins; bin += Group.DimX) Set(histogram, bin, 0);
    }

    /// <summary>Sets a bin that no other thread touches.</summary>
    public static void Set(GpuHistogram histogram, int bin, long value)
    {
        histogram._low[bin] = (uint)value;
        histogram._high[bin] = (uint)(value >> 32);
    }

    /// <summary>Adds to a bin, together with any other threads.</summary>
    /// <param name="histogram">The bins.</param>
    /// <param name="bin">Which.</param>
    /// <param name="value">At least 0.</param>
    public static void Add(GpuHistogram histogram, int bin, long value)
    {
        if (value == 0) return;
        uint before = Atomic.Add(ref histogram._low[bin], (uint)value);
        uint high = (uint)(value >> 32) + (before + (uint)value < before ? 1u : 0u);
        if (high != 0) Atomic.Add(ref histogram._high[bin], high);
    }

    /// <summary>Adds the bins up; all threads call.</summary>
    public static GpuShare Scan(GpuHistogram histogram)
    {
        int bins = Bins / Group.DimX;
        GpuShare share = default;
        for (int i = 0; i < bins; i++) share.Own += Get(histogram, (Group.IdxX * bins) + i);
        share.Before = Reduce.GroupScan(share.Own, out share.Total);
        return share;
    }

    /// <summary>Finds the first bin with which the sum is at least <paramref name="wanted"/>; all threads call and receive it.</summary>
    /// <param name="histogram">The bins.</param>
    /// <param name="share">What <see cref="Scan"/> has given the thread.</param>
    /// <param name="wanted">From 1 to the sum of all bins.</param>
    public static GpuCrossing Find(GpuHistogram histogram, GpuShare share, long wanted)
    {
        if (share.Before < wanted && wanted <= share.Before + share.Own)
        {
            int bin = Group.IdxX * (Bins / Group.DimX);
            long needed = wanted - share.Before, content = Get(histogram, bin);
            while (needed > content)
            {
                needed -= content;
                bin++;
                content = Get(histogram, bin);
            }
            histogram._crossing[0] = bin;
            histogram._crossing[1] = needed;
            histogram._crossing[2] = content;
        }
        Group.Barrier();
        GpuCrossing crossing = new() { Bin = (int)histogram._crossing[0], Needed = histogram._crossing[1], Content = histogram._crossing[2] };
        Group.Barrier();
        return crossing;
    }

    private static long Get(GpuHistogram histogram, int bin) => ((long)histogram._high[bin] << 32) | histogram._low[bin];
}
