using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Partials are operands of halves in blocks of the largest size, y is rows of float32; both have the same padded columns.</summary>
internal struct RankAddArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>The rank's partial.</summary>
    public long Partial;

    /// <summary>What the others have sent, that of each rank <see cref="InboxBytes"/> from the next one.</summary>
    public long Inbox, InboxBytes;

    public long Y;

    /// <summary>Address of the addresses of the ranks' mailboxes (long).</summary>
    public long Mailboxes;

    public int Rank, Ranks, Stride;

    /// <summary>Which part of a step's rows it is, and the number that its flags come to, modulo <see cref="GpuRankAdd.Numbers"/>.</summary>
    public int Part, Number;

    /// <summary>How often to look at a flag at most.</summary>
    public int Looks;
}

/// <summary>
/// y += partial of rank 0 + partial of rank 1 + ..., with the bits of <see cref="GpuRankSum"/>, where the others' partials have been copied to this device, and flags behind them. A group takes eight rows of some
/// columns; eight lanes read a core matrix, a thread a row of four of them.
/// </summary>
internal static class GpuRankAdd
{
    public static readonly GpuKernel<RankAddArguments> Kernel = new(Run, Threads) { StartsEarly = true };

    /// <summary>Numbers of sums, after which they begin again.</summary>
    public const int Numbers = 1 << 16;

    private const int Threads = 256, VectorsPerThread = 4;

    /// <summary>Adds.</summary>
    /// <param name="device">The rank's.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public static void Launch(IGpuDevice device, in RankAddArguments arguments, int rows)
    {
        int columns = VectorsPerThread * Math.Min(Threads, device.MaxGroupSize);
        device.Launch(Kernel, new GpuGrid((arguments.Stride + columns - 1) / columns, (rows + CoreTiles.CoreRows - 1) / CoreTiles.CoreRows), arguments);
    }

    private static void Run(RankAddArguments a)
    {
        GridDependency.LaunchDependents();
        int step = Group.DimX, row = (Grid.IdxY * CoreTiles.CoreRows) + (Group.IdxX & (CoreTiles.CoreRows - 1));
        int column = (Grid.IdxX * VectorsPerThread * step) + (Group.IdxX / CoreTiles.CoreRows * CoreRow.Columns);
        GridDependency.Wait();
        int rows = Global.LoadInt(a.Count);
        if (Grid.IdxY * CoreTiles.CoreRows >= rows) return;
        Await(a);
        // What is beyond the columns is the last of them again, which nobody stores: without branches more is under way at once.
        int last = a.Stride - CoreRow.Columns, c1 = column + step, c2 = c1 + step, c3 = c2 + step;
        long o0 = Offset(a, row, column, last), o1 = Offset(a, row, c1, last), o2 = Offset(a, row, c2, last), o3 = Offset(a, row, c3, last);
        CoreRow sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        for (int rank = 0; rank < a.Ranks; rank++)
        {
            long partial = rank == a.Rank ? a.Partial : a.Inbox + (rank * a.InboxBytes);
            UInt4 part0 = Global.Load16(partial + o0), part1 = Global.Load16(partial + o1), part2 = Global.Load16(partial + o2), part3 = Global.Load16(partial + o3);
            sum0 = CoreRow.Add(sum0, CoreRow.Widen(part0));
            sum1 = CoreRow.Add(sum1, CoreRow.Widen(part1));
            sum2 = CoreRow.Add(sum2, CoreRow.Widen(part2));
            sum3 = CoreRow.Add(sum3, CoreRow.Widen(part3));
        }
        if (row >= rows) return;
        long y = a.Y + ((long)row * a.Stride * sizeof(float));
        Add(a, y, column, sum0);
        Add(a, y, c1, sum1);
        Add(a, y, c2, sum2);
        Add(a, y, c3, sum3);
    }

    /// <summary>Waits until all others' partials are there; flags may be a sum ahead.</summary>
    private static void Await(RankAddArguments a)
    {
        int rank = Group.IdxX;
        long own = GpuMailbox.Of(a.Mailboxes, a.Rank);
        if (rank < a.Ranks && rank != a.Rank)
        {
            int looks = Global.LoadInt(GpuMailbox.Failed(own)) != 0 ? 0 : a.Looks;
            // The difference of two numbers, of 16 bits with a sign.
            while ((Global.LoadAcquire(GpuMailbox.SentFlag(own, rank, a.Part)) - a.Number) << 16 < 0)
            {
                looks--;
                if (looks < 0)
                {
                    GpuMailbox.Fail(a.Mailboxes, a.Ranks, rank);
                    break;
                }
            }
        }
        Group.Barrier();
    }

    private static long Offset(RankAddArguments a, int row, int column, int last) =>
        CoreTiles.OperandOffset(row, column < last ? column : last, a.Stride, CoreTiles.MaxBlockRows);

    private static void Add(RankAddArguments a, long y, int column, CoreRow sum)
    {
        if (column >= a.Stride) return;
        long address = y + (column * sizeof(float));
        CoreRow.Store(address, CoreRow.Add(CoreRow.Load(address), sum));
    }
}
