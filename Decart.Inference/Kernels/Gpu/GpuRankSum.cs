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

    /// <summary>Address of the rank's counters (int); each of a sum counts how often a group has met those of other ranks, which is the same on every rank.</summary>
    public long Counters;

    public int Rank, Ranks, Stride;

    /// <summary>Whether y becomes y + sum.</summary>
    public int Accumulate;

    /// <summary>How often to look at a flag at most.</summary>
    public int Looks;
}

/// <summary>
/// y = partial of rank 0 + partial of rank 1 + ..., or y + that: the same bits on every rank. Partials are rounded to halves, as operands of matmuls are, and added in float32. A
/// group writes its piece of the rank's partial, in vectors of eight halves, to a slot in the memory of each other rank, and adds up what the same group of each other rank has
/// written. Slots take turns, so that one piece may be written while another is read: a rank that has left piece n + 1 has read all of piece n. Nothing depends on the host, so
/// that it can be recorded; without rows nothing is waited for. Both kernels, and <see cref="GpuTwoShotSum"/>, give the same bits.
/// </summary>
internal static class GpuRankSum
{
    /// <summary>
    /// For many rows. A group says by a flag in the other's memory that its piece is there (a release that the other's acquire meets, at the scope of the system). Threads have four
    /// vectors of a piece, so that enough bytes are under way.
    /// </summary>
    public static readonly GpuKernel<RankSumArguments> Kernel = new(Run, Threads) { StartsEarly = true };

    /// <summary>For few rows: every 8 bytes hold four of data and the piece's number, which readers wait for. That is twice as much to write, but nobody waits for a flag behind it.</summary>
    public static readonly GpuKernel<RankSumArguments> LooseKernel = new(RunLoose, MostLooseThreads) { StartsEarly = true };

    private const int Threads = GpuMailbox.SlotVectors / VectorsPerThread, VectorsPerThread = 4;

    /// <summary>Threads of a group of few rows; as few as are enough, so that they are spread over more multiprocessors.</summary>
    private const int FewestLooseThreads = 128, MostLooseThreads = GpuMailbox.SlotVectors / 2;

    /// <summary>The most vectors of few rows: 512 KiB of halves.</summary>
    private const int MostLooseVectors = 32 << 10;

    /// <summary>Starts the sum on one rank.</summary>
    /// <param name="device">The rank's.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for, the same on every rank.</param>
    /// <param name="twoShot">Whether in two shots; null: where that pays.</param>
    public static void Launch(IGpuDevice device, in RankSumArguments arguments, int rows, bool? twoShot)
    {
        long vectors = (long)rows * (arguments.Stride / CoreRow.Columns);
        if (twoShot ?? GpuTwoShotSum.Pays(vectors, arguments.Ranks))
        {
            GpuTwoShotSum.Launch(device, arguments, vectors);
            return;
        }
        int threads = Math.Min(vectors <= FewestLooseThreads * GpuMailbox.SumGroups ? FewestLooseThreads : MostLooseThreads, device.MaxGroupSize);
        if (vectors <= Math.Min(MostLooseVectors, threads * GpuMailbox.SumGroups))
        {
            device.Launch(LooseKernel, new GpuGrid((int)Math.Max(1, (vectors + threads - 1) / threads)) { GroupSize = threads }, arguments);
            return;
        }
        int piece = VectorsPerThread * Math.Min(Threads, device.MaxGroupSize);
        device.Launch(Kernel, new GpuGrid((int)Math.Min((vectors + piece - 1) / piece, GpuMailbox.SumGroups)), arguments);
    }

    private static void RunLoose(RankSumArguments a)
    {
        GridDependency.LaunchDependents();
        int group = Grid.IdxX, index = (group * Group.DimX) + Group.IdxX, vectors = Vectors(a);
        long own = GpuMailbox.Of(a.Mailboxes, a.Rank), counter = a.Counters + ((GpuMailbox.LooseCounters + group) * sizeof(int));
        GridDependency.Wait();
        if (group * Group.DimX >= vectors) return;
        int at = IntrinsicMath.Min(index, vectors - 1), epoch = Global.LoadInt(counter) + 1, looks = Looks(a, own);
        UInt4 partial = Partial(a, at);
        CoreRow before = default, sum = default;
        if (a.Accumulate != 0) before = CoreRow.Load(Y(a, at));
        Group.Barrier();
        if (Group.IdxX == 0) Global.StoreInt(counter, epoch);
        if (index >= vectors) return;
        for (int other = 0; other < a.Ranks; other++)
        {
            if (other != a.Rank) StoreNumbered(LoosePlace(a, GpuMailbox.Of(a.Mailboxes, other), a.Rank, epoch), partial, (uint)epoch);
        }
        for (int rank = 0; rank < a.Ranks; rank++)
        {
            UInt4 part = partial;
            if (rank != a.Rank) part = LoadNumbered(a, own, rank, epoch, looks);
            sum = CoreRow.Add(sum, CoreRow.Widen(part));
        }
        CoreRow.Store(Y(a, index), CoreRow.Add(before, sum));
    }

    private static void Run(RankSumArguments a)
    {
        GridDependency.LaunchDependents();
        int group = Grid.IdxX, thread = Group.IdxX, step = Group.DimX, vectors = Vectors(a);
        long own = GpuMailbox.Of(a.Mailboxes, a.Rank), counter = a.Counters + (group * sizeof(int));
        GridDependency.Wait();
        int epoch = Global.LoadInt(counter), looks = Looks(a, own);
        for (int first = group * VectorsPerThread * step; first < vectors; first += Grid.DimX * VectorsPerThread * step)
        {
            epoch++;
            // What is beyond the end is the last vector again, which nobody stores: without branches more is under way at once.
            int last = vectors - 1, i0 = first + thread, i1 = i0 + step, i2 = i1 + step, i3 = i2 + step;
            UInt4 partial0 = Partial(a, IntrinsicMath.Min(i0, last)), partial1 = Partial(a, IntrinsicMath.Min(i1, last));
            UInt4 partial2 = Partial(a, IntrinsicMath.Min(i2, last)), partial3 = Partial(a, IntrinsicMath.Min(i3, last));
            for (int other = 0; other < a.Ranks; other++)
            {
                if (other == a.Rank) continue;
                long place = Place(a, GpuMailbox.Of(a.Mailboxes, other), a.Rank, epoch);
                Global.Store16(place, partial0);
                Global.Store16(place + Bytes(step), partial1);
                Global.Store16(place + Bytes(2 * step), partial2);
                Global.Store16(place + Bytes(3 * step), partial3);
            }
            Meet(a, own, epoch, looks);
            CoreRow sum0 = default, sum1 = default, sum2 = default, sum3 = default;
            for (int rank = 0; rank < a.Ranks; rank++)
            {
                UInt4 part0 = partial0, part1 = partial1, part2 = partial2, part3 = partial3;
                if (rank != a.Rank)
                {
                    long place = Place(a, own, rank, epoch);
                    part0 = Global.LoadNewest(place);
                    part1 = Global.LoadNewest(place + Bytes(step));
                    part2 = Global.LoadNewest(place + Bytes(2 * step));
                    part3 = Global.LoadNewest(place + Bytes(3 * step));
                }
                sum0 = CoreRow.Add(sum0, CoreRow.Widen(part0));
                sum1 = CoreRow.Add(sum1, CoreRow.Widen(part1));
                sum2 = CoreRow.Add(sum2, CoreRow.Widen(part2));
                sum3 = CoreRow.Add(sum3, CoreRow.Widen(part3));
            }
            if (a.Accumulate != 0)
            {
                CoreRow before0 = CoreRow.Load(Y(a, IntrinsicMath.Min(i0, last))), before1 = CoreRow.Load(Y(a, IntrinsicMath.Min(i1, last)));
                CoreRow before2 = CoreRow.Load(Y(a, IntrinsicMath.Min(i2, last))), before3 = CoreRow.Load(Y(a, IntrinsicMath.Min(i3, last)));
                (sum0, sum1) = (CoreRow.Add(before0, sum0), CoreRow.Add(before1, sum1));
                (sum2, sum3) = (CoreRow.Add(before2, sum2), CoreRow.Add(before3, sum3));
            }
            if (i0 < vectors) CoreRow.Store(Y(a, i0), sum0);
            if (i1 < vectors) CoreRow.Store(Y(a, i1), sum1);
            if (i2 < vectors) CoreRow.Store(Y(a, i2), sum2);
            if (i3 < vectors) CoreRow.Store(Y(a, i3), sum3);
        }
        if (thread == 0) Global.StoreInt(counter, epoch);
    }

    /// <summary>Tells the same group of each other rank that the whole group has stored what it has for it, and waits for theirs.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="own">The rank's mailbox.</param>
    /// <param name="epoch">How often the groups have met, this time included.</param>
    /// <param name="looks">How often to look at a flag at most.</param>
    public static void Meet(RankSumArguments a, long own, int epoch, int looks)
    {
        int rank = Group.IdxX, group = Grid.IdxX;
        Group.Barrier();
        if (rank < a.Ranks && rank != a.Rank)
        {
            Global.StoreRelease(GpuMailbox.SumFlag(GpuMailbox.Of(a.Mailboxes, rank), a.Rank, group), epoch);
            GpuMailbox.Await(GpuMailbox.SumFlag(own, rank, group), epoch, looks, a.Mailboxes, a.Ranks, rank);
        }
        Group.Barrier();
    }

    public static int Vectors(RankSumArguments a) => Global.LoadInt(a.Count) * (a.Stride / CoreRow.Columns);

    /// <summary>Once a rank has failed nobody waits any more.</summary>
    public static int Looks(RankSumArguments a, long own) => Global.LoadInt(GpuMailbox.Failed(own)) != 0 ? 0 : a.Looks;

    public static UInt4 Partial(RankSumArguments a, int vector) => CoreRow.Saturate(CoreRow.Load(a.Partial + ((long)vector * CoreRow.Columns * sizeof(float))));

    public static long Y(RankSumArguments a, int vector) => a.Y + ((long)vector * CoreRow.Columns * sizeof(float));

    public static long Bytes(int vectors) => (long)vectors * GpuMailbox.VectorBytes;

    /// <summary>The first vector of the thread.</summary>
    private static long Place(RankSumArguments a, long mailbox, int from, int epoch) =>
        GpuMailbox.Slot(mailbox, a.Ranks, from, Grid.IdxX, epoch) + Bytes(Group.IdxX);

    private static long LoosePlace(RankSumArguments a, long mailbox, int from, int epoch) =>
        GpuMailbox.LooseSlot(mailbox, a.Ranks, from, Grid.IdxX, epoch) + Bytes(2 * Group.IdxX);

    private static void StoreNumbered(long place, UInt4 vector, uint number)
    {
        Global.StoreNow(place, new UInt4 { A = vector.A, B = number, C = vector.B, D = number });
        Global.StoreNow(place + GpuMailbox.VectorBytes, new UInt4 { A = vector.C, B = number, C = vector.D, D = number });
    }

    private static UInt4 LoadNumbered(RankSumArguments a, long own, int from, int epoch, int looks)
    {
        long place = LoosePlace(a, own, from, epoch);
        uint number = (uint)epoch;
        UInt4 left = Global.LoadNewest(place), right = Global.LoadNewest(place + GpuMailbox.VectorBytes);
        while (left.B != number || left.D != number || right.B != number || right.D != number)
        {
            looks--;
            if (looks < 0)
            {
                GpuMailbox.Fail(a.Mailboxes, a.Ranks, from);
                break;
            }
            left = Global.LoadNewest(place);
            right = Global.LoadNewest(place + GpuMailbox.VectorBytes);
        }
        return new UInt4 { A = left.A, B = left.C, C = right.A, D = right.C };
    }
}
