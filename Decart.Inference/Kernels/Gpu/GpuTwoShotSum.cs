using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// <see cref="GpuRankSum"/> in two shots, with the same bits: each rank adds up one part of every piece, for which the others send it what they have of it as halves, and sends the
/// result to all as float32. Of S bytes of halves a rank so writes 3 S (R - 1) / R to others instead of S (R - 1), and meets them twice. Both shots have a number of the piece's flags,
/// and the slots that take turns.
/// </summary>
internal static class GpuTwoShotSum
{
    public static readonly GpuKernel<RankSumArguments> Kernel = new(Run, Threads) { StartsEarly = true };

    /// <summary>A thread has one vector of each rank's part; its result takes two.</summary>
    private const int Threads = GpuMailbox.SlotVectors / 2;

    /// <summary>Bytes that a rank could write in the time that a second meeting takes, some 4 us.</summary>
    private const long MeetingBytes = 1 << 20;

    /// <summary>The most ranks for which one shot was measured to be faster at any size.</summary>
    public const int OneShotRanks = 4;

    /// <summary>Whether it is expected to take less time than one shot: by what it spares of writing.</summary>
    /// <param name="vectors">Vectors of halves that are summed.</param>
    /// <param name="ranks">Ranks that sum them.</param>
    public static bool Pays(long vectors, int ranks) => ranks > OneShotRanks && vectors * GpuMailbox.VectorBytes * (ranks - 1) * (ranks - 3) / ranks > MeetingBytes;

    /// <inheritdoc cref="GpuRankSum.Launch" path="/summary"/>
    /// <param name="device">The rank's.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="vectors">Vectors that the launch is sized for, the same on every rank.</param>
    public static void Launch(IGpuDevice device, in RankSumArguments arguments, long vectors)
    {
        int piece = arguments.Ranks * Math.Min(Threads, device.MaxGroupSize);
        device.Launch(Kernel, new GpuGrid((int)Math.Clamp((vectors + piece - 1) / piece, 1, GpuMailbox.SumGroups)), arguments);
    }

    private static void Run(RankSumArguments a)
    {
        GridDependency.LaunchDependents();
        int group = Grid.IdxX, thread = Group.IdxX, part = Group.DimX, vectors = GpuRankSum.Vectors(a);
        long own = GpuMailbox.Of(a.Mailboxes, a.Rank), counter = a.Counters + (group * sizeof(int));
        GridDependency.Wait();
        int epoch = Global.LoadInt(counter), looks = GpuRankSum.Looks(a, own);
        for (int first = group * a.Ranks * part; first < vectors; first += Grid.DimX * a.Ranks * part)
        {
            // What is beyond the end is the last vector again, which nobody stores.
            epoch++;
            for (int other = 0; other < a.Ranks; other++)
            {
                if (other == a.Rank) continue;
                Global.Store16(Place(a, GpuMailbox.Of(a.Mailboxes, other), a.Rank, epoch, thread), GpuRankSum.Partial(a, IntrinsicMath.Min(first + (other * part) + thread, vectors - 1)));
            }
            int index = first + (a.Rank * part) + thread;
            UInt4 partial = GpuRankSum.Partial(a, IntrinsicMath.Min(index, vectors - 1));
            GpuRankSum.Meet(a, own, epoch, looks);
            CoreRow sum = default;
            for (int rank = 0; rank < a.Ranks; rank++)
            {
                UInt4 its = partial;
                if (rank != a.Rank) its = Global.LoadNewest(Place(a, own, rank, epoch, thread));
                sum = CoreRow.Add(sum, CoreRow.Widen(its));
            }
            epoch++;
            for (int other = 0; other < a.Ranks; other++)
            {
                if (other != a.Rank) CoreRow.Store(Place(a, GpuMailbox.Of(a.Mailboxes, other), a.Rank, epoch, 2 * thread), sum);
            }
            if (index < vectors) StoreSum(a, index, sum);
            GpuRankSum.Meet(a, own, epoch, looks);
            for (int other = 0; other < a.Ranks; other++)
            {
                index = first + (other * part) + thread;
                if (other != a.Rank && index < vectors) StoreSum(a, index, LoadSum(Place(a, own, other, epoch, 2 * thread)));
            }
        }
        if (thread == 0) Global.StoreInt(counter, epoch);
    }

    private static long Place(RankSumArguments a, long mailbox, int from, int epoch, int vector) =>
        GpuMailbox.Slot(mailbox, a.Ranks, from, Grid.IdxX, epoch) + GpuRankSum.Bytes(vector);

    private static CoreRow LoadSum(long place) => new() { Left = Floats(Global.LoadNewest(place)), Right = Floats(Global.LoadNewest(place + GpuMailbox.VectorBytes)) };

    private static Float4 Floats(UInt4 bits) =>
        new() { A = Interop.IntAsFloat(bits.A), B = Interop.IntAsFloat(bits.B), C = Interop.IntAsFloat(bits.C), D = Interop.IntAsFloat(bits.D) };

    private static void StoreSum(RankSumArguments a, int vector, CoreRow sum)
    {
        long y = GpuRankSum.Y(a, vector);
        if (a.Accumulate != 0) sum = CoreRow.Add(CoreRow.Load(y), sum);
        CoreRow.Store(y, sum);
    }
}
