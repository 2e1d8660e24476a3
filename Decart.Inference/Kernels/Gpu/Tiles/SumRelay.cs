using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>Where a warp finds the sums of its tile that another one gives it, and two barriers.</summary>
internal struct SumRelay<TSums>
    where TSums : unmanaged, IRelaySums<TSums>
{
    private int _address, _parity;

    public static int Bytes => SumBytes + (2 * MBarrier.Bytes);

    private static int SumBytes => TSums.Columns / 8 * WarpFragment.Bytes;

    /// <summary>Where the calling lane's sums are.</summary>
    private static int OwnSums => Warp.LaneIdx * 4 * sizeof(float);

    /// <summary>Makes one, by one thread.</summary>
    public static void Initialize(int address)
    {
        MBarrier.Init(address + SumBytes, 1);
        MBarrier.Init(address + SumBytes + MBarrier.Bytes, 1);
        MBarrier.PublishInit();
    }

    /// <summary>One that was made there, before sums were given.</summary>
    public static SumRelay<TSums> At(int address) => new() { _address = address };

    /// <summary>Behind a time that sums were given.</summary>
    public static SumRelay<TSums> Next(SumRelay<TSums> relay)
    {
        relay._parity ^= 1;
        return relay;
    }

    /// <summary>Waits until sums may be stored.</summary>
    public static void AwaitEmpty(SumRelay<TSums> relay) => MBarrier.Wait(relay._address + SumBytes + MBarrier.Bytes, relay._parity ^ 1);

    /// <summary>Stores sums.</summary>
    public static void Give(SumRelay<TSums> relay, TSums sums)
    {
        TSums.Store(sums, relay._address + OwnSums);
        Warp.Barrier();
        if (Warp.LaneIdx == 0) MBarrier.Arrive(relay._address + SumBytes);
    }

    /// <summary>Waits for sums.</summary>
    public static TSums Take(SumRelay<TSums> relay)
    {
        MBarrier.Wait(relay._address + SumBytes, relay._parity);
        TSums sums = TSums.Load(relay._address + OwnSums);
        Warp.Barrier();
        if (Warp.LaneIdx == 0) MBarrier.Arrive(relay._address + SumBytes + MBarrier.Bytes);
        return sums;
    }
}
