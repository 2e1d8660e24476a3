using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Float32 rows, one after another without gaps, as long as their stride says.</summary>
internal struct RankSumArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>The rank's part of the sum.</summary>
    public long Partial;

    public long Y;

    /// <summary>Address of the addresses of the ranks' mailboxes (long).</summary>
    public long Mailboxes;

    /// <summary>Address of a counter for each group (int): the pieces that it has summed so far, which is the same on every rank.</summary>
    public long Counters;

    public int Rank, Ranks, Stride;

    /// <summary>Whether y becomes y + sum.</summary>
    public int Accumulate;

    /// <summary>How often to look at a flag at most.</summary>
    public int Looks;
}

/// <summary>
/// y = partial of rank 0 + partial of rank 1 + ..., or y + that: the same bits on every rank. Partials are rounded to halves, as operands of matmuls are, and added in float32. A
/// group writes its piece of the rank's partial, eight elements a thread, to a slot in the memory of each other rank, says so by a flag there (a release that the other's acquire
/// meets, at the scope of the system), waits for the same group of each other rank and adds up what they have written. Slots take turns, so that one piece may be written while
/// another is read: a rank that has left piece n + 1 has read all of piece n. Nothing depends on the host, so that it can be recorded; without rows nothing is waited for.
/// </summary>
internal static class GpuRankSum
{
    public static readonly GpuKernel<RankSumArguments> Kernel = new(Run, GpuMailbox.SlotVectors) { StartsEarly = true };

    /// <summary>Threads of a group where a few groups are enough, so that they are spread over more multiprocessors.</summary>
    private const int FewThreads = 128;

    /// <summary>Starts the sum on one rank.</summary>
    /// <param name="device">The rank's.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for, the same on every rank.</param>
    public static void Launch(IGpuDevice device, in RankSumArguments arguments, int rows)
    {
        long vectors = (long)rows * (arguments.Stride / CoreRow.Columns);
        int threads = Math.Min(vectors <= FewThreads * GpuMailbox.SumGroups ? FewThreads : GpuMailbox.SlotVectors, device.MaxGroupSize);
        int groups = (int)Math.Clamp((vectors + threads - 1) / threads, 1, GpuMailbox.SumGroups);
        device.Launch(Kernel, new GpuGrid(groups) { GroupSize = threads }, arguments);
    }

    private static void Run(RankSumArguments a)
    {
        GridDependency.LaunchDependents();
        int group = Grid.IdxX, thread = Group.IdxX, vectors = Global.LoadInt(a.Count) * (a.Stride / CoreRow.Columns);
        long own = GpuMailbox.Of(a.Mailboxes, a.Rank), counter = a.Counters + (group * sizeof(int));
        GridDependency.Wait();
        int epoch = Global.LoadInt(counter), looks = Global.LoadInt(GpuMailbox.Failed(own)) != 0 ? 0 : a.Looks;
        for (int first = group * Group.DimX; first < vectors; first += Grid.DimX * Group.DimX)
        {
            epoch++;
            bool used = first + thread < vectors;
            long y = a.Y + ((long)(first + thread) * CoreRow.Columns * sizeof(float));
            UInt4 partial = default;
            CoreRow before = default;
            if (used)
            {
                partial = CoreRow.Saturate(CoreRow.Load(a.Partial + ((long)(first + thread) * CoreRow.Columns * sizeof(float))));
                Write(a, partial, epoch);
                if (a.Accumulate != 0) before = CoreRow.Load(y);
            }
            Group.Barrier();
            if (thread < a.Ranks && thread != a.Rank)
            {
                Global.StoreRelease(GpuMailbox.SumFlag(GpuMailbox.Of(a.Mailboxes, thread), a.Rank, group), epoch);
                GpuMailbox.Await(GpuMailbox.SumFlag(own, thread, group), epoch, looks, a.Mailboxes, a.Ranks, thread);
            }
            Group.Barrier();
            if (used) CoreRow.Store(y, CoreRow.Add(before, Sum(a, own, partial, epoch)));
        }
        if (thread == 0) Global.StoreInt(counter, epoch);
    }

    /// <summary>Writes the thread's part of a piece to every other rank.</summary>
    private static void Write(RankSumArguments a, UInt4 partial, int epoch)
    {
        for (int other = 0; other < a.Ranks; other++)
        {
            if (other != a.Rank) Global.Store16(Place(a, GpuMailbox.Of(a.Mailboxes, other), a.Rank, epoch), partial);
        }
    }

    private static CoreRow Sum(RankSumArguments a, long own, UInt4 partial, int epoch)
    {
        CoreRow sum = default;
        for (int rank = 0; rank < a.Ranks; rank++)
        {
            UInt4 part = partial;
            if (rank != a.Rank) part = Global.LoadNewest(Place(a, own, rank, epoch));
            sum = CoreRow.Add(sum, CoreRow.Widen(part));
        }
        return sum;
    }

    private static long Place(RankSumArguments a, long mailbox, int from, int epoch) =>
        GpuMailbox.Slot(mailbox, a.Ranks, from, Grid.IdxX, epoch) + (Group.IdxX * GpuMailbox.VectorBytes);
}
