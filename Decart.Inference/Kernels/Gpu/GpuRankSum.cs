using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Float32 rows, one after another without gaps, as many as their stride says.</summary>
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

    /// <summary>16-byte vectors that a group sums at once, at most <see cref="GpuMailbox.SlotVectors"/>.</summary>
    public int PieceVectors;

    /// <summary>Whether y becomes y + sum.</summary>
    public int Accumulate;

    /// <summary>How often to look at a flag at most.</summary>
    public int Looks;
}

/// <summary>
/// y = partial of rank 0 + partial of rank 1 + ..., or y + that: the same bits on every rank. A group writes its piece of the rank's partial to a slot in the memory of each
/// other rank, says so by a flag there (a release that the other's acquire meets, at the scope of the system), waits for the same groups of the others and adds up what they have
/// written. Slots take turns, so that one piece may be written while another is read: a rank that has left piece n + 1 has read all of piece n. Nothing depends on the host, so
/// that it can be recorded; without rows nothing is waited for.
/// </summary>
internal static class GpuRankSum
{
    public static readonly GpuKernel<RankSumArguments> Kernel = new(Run, MaxGroupSize) { StartsEarly = true };

    private const int MaxGroupSize = 256;

    /// <summary>Starts the sum on one rank.</summary>
    /// <param name="device">The rank's.</param>
    /// <param name="arguments">The operation, without how work is divided.</param>
    /// <param name="rows">Rows that the launch is sized for, the same on every rank.</param>
    public static void Launch(IGpuDevice device, RankSumArguments arguments, int rows)
    {
        int threads = Math.Min(MaxGroupSize, device.MaxGroupSize), vectors = checked((int)((long)rows * arguments.Stride * sizeof(float) / GpuMailbox.VectorBytes));
        int share = (vectors + GpuMailbox.SumGroups - 1) / GpuMailbox.SumGroups;
        arguments.PieceVectors = Math.Clamp((share + threads - 1) / threads * threads, threads, GpuMailbox.SlotVectors);
        int pieces = (vectors + arguments.PieceVectors - 1) / arguments.PieceVectors;
        device.Launch(Kernel, new GpuGrid(Math.Clamp(pieces, 1, GpuMailbox.SumGroups)), arguments);
    }

    private static void Run(RankSumArguments a)
    {
        GridDependency.LaunchDependents();
        int group = Grid.IdxX, vectors = Global.LoadInt(a.Count) * (a.Stride / 4);
        long own = GpuMailbox.Of(a.Mailboxes, a.Rank), counter = a.Counters + (group * sizeof(int));
        GridDependency.Wait();
        int epoch = Global.LoadInt(counter), looks = Global.LoadInt(GpuMailbox.Failed(own)) != 0 ? 0 : a.Looks;
        for (int first = group * a.PieceVectors; first < vectors; first += Grid.DimX * a.PieceVectors)
        {
            epoch++;
            int count = IntrinsicMath.Min(a.PieceVectors, vectors - first);
            Write(a, first, count, epoch);
            Group.Barrier();
            int other = Group.IdxX;
            if (other < a.Ranks && other != a.Rank)
            {
                Global.StoreRelease(GpuMailbox.SumFlag(GpuMailbox.Of(a.Mailboxes, other), a.Rank, group), epoch);
                GpuMailbox.Await(GpuMailbox.SumFlag(own, other, group), epoch, looks, a.Mailboxes, a.Ranks, other);
            }
            Group.Barrier();
            AddUp(a, own, first, count, epoch);
        }
        if (Group.IdxX == 0) Global.StoreInt(counter, epoch);
    }

    /// <summary>Writes a piece of the rank's partial to every other rank.</summary>
    private static void Write(RankSumArguments a, int first, int count, int epoch)
    {
        for (int other = 0; other < a.Ranks; other++)
        {
            if (other == a.Rank) continue;
            long slot = GpuMailbox.Slot(GpuMailbox.Of(a.Mailboxes, other), a.Ranks, a.Rank, Grid.IdxX, epoch);
            for (int i = Group.IdxX; i < count; i += Group.DimX) Global.StoreFloat4(slot + Bytes(i), Global.LoadFloat4(a.Partial + Bytes(first + i)));
        }
    }

    private static void AddUp(RankSumArguments a, long own, int first, int count, int epoch)
    {
        for (int i = Group.IdxX; i < count; i += Group.DimX)
        {
            Float4 sum = Part(a, own, 0, first, i, epoch);
            for (int rank = 1; rank < a.Ranks; rank++) sum = Add(sum, Part(a, own, rank, first, i, epoch));
            long y = a.Y + Bytes(first + i);
            Global.StoreFloat4(y, a.Accumulate != 0 ? Add(Global.LoadFloat4(y), sum) : sum);
        }
    }

    private static Float4 Part(RankSumArguments a, long own, int rank, int first, int i, int epoch) => rank == a.Rank
        ? Global.LoadFloat4(a.Partial + Bytes(first + i))
        : Global.LoadNewest(GpuMailbox.Slot(own, a.Ranks, rank, Grid.IdxX, epoch) + Bytes(i));

    private static long Bytes(int vectors) => (long)vectors * GpuMailbox.VectorBytes;

    private static Float4 Add(Float4 a, Float4 b) => new() { A = a.A + b.A, B = a.B + b.B, C = a.C + b.C, D = a.D + b.D };
}
