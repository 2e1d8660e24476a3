using System.Numerics;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct CodeRoundArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>An operand of halves, see <see cref="CoreTiles"/>, and one of codes, see <see cref="ByteTiles"/>.</summary>
    public long X, Y;

    /// <summary>Where the scales of rows go, float32.</summary>
    public long Scales;

    /// <summary>Those of the rows of x, if they are known, see <see cref="RowMaxima"/>, and others to be cleared; or 0.</summary>
    public long Maxima, SpentMaxima;

    /// <summary>Padded columns of both.</summary>
    public int Stride;

    public int XBlockRows, YBlockRows;

    /// <summary>Logarithm of the rows of a group, where maxima are known.</summary>
    public int RowShift;
}

/// <summary>
/// An operand of halves becomes one of codes of 8 bits, each row with a scale. A cluster takes eight rows, which lie together: lanes that are the
/// same modulo 8 have the same row. A thread keeps what it has loaded, of up to 4,096 columns for each group of 1,024 threads.
/// </summary>
internal static class GpuCodeRound<TCodes>
    where TCodes : IRowCodes
{
    public static readonly GpuKernel<CodeRoundArguments> Kernel = new(Run, MaxGroupSize)
    {
        MinArchitecture = 90,
        StartsEarly = true,
        SharedBytes = (Reduce.MaxWarps + 1) * RowsBytes,
    };

    /// <summary>The same where the largest magnitudes are known: a thread takes eight columns of a row, and meets nobody.</summary>
    public static readonly GpuKernel<CodeRoundArguments> KnownKernel = new(RunKnown, KnownThreads) { MinArchitecture = 90, StartsEarly = true };

    private const int KnownThreads = 128, MaxGroupSize = 1024, ClusterSize = 8, Lanes = 32, RowShift = 3, RowsBytes = CoreTiles.CoreRows * sizeof(int);

    /// <summary>Rounds.</summary>
    /// <param name="device">Where.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public static void Launch(IGpuDevice device, in CodeRoundArguments arguments, int rows)
    {
        if (arguments.Maxima != 0)
        {
            LaunchKnown(device, arguments, rows);
            return;
        }
        int blocks = (rows + CoreTiles.CoreRows - 1) / CoreTiles.CoreRows, size = device.MaxGroupSize < MaxGroupSize ? 1 : ClusterSize;
        device.Launch(Kernel, new GpuGrid(blocks * size, ClusterSize: size), arguments);
    }

    /// <summary>Groups take up to eight rows, which lie together, of as many columns as they have threads for.</summary>
    private static void LaunchKnown(IGpuDevice device, in CodeRoundArguments arguments, int rows)
    {
        int shift = BitOperations.Log2(BitOperations.RoundUpToPowerOf2((uint)Math.Min(rows, CoreTiles.CoreRows)));
        int columns = (Math.Min(KnownThreads, device.MaxGroupSize) * CoreRow.Columns) >> shift, groups = (rows + (1 << shift) - 1) >> shift;
        device.Launch(KnownKernel, new GpuGrid((arguments.Stride + columns - 1) / columns, groups), arguments with { RowShift = shift });
    }

    private static void Run(CodeRoundArguments a)
    {
        GridDependency.LaunchDependents();
        int size = Cluster.Size(), rank = Cluster.Rank(), row = (Grid.IdxX / size * CoreTiles.CoreRows) + Row(), rows = Global.LoadInt(a.Count);
        int first = (rank * Group.DimX) + ((Group.IdxX >> RowShift) * CoreRow.Columns), step = size * Group.DimX, end = row < rows ? a.Stride : 0;
        GridDependency.Wait();
        Chunks chunks = Load(a, row, first, step, end);
        int largest = LargestMagnitude(chunks);
        for (int column = first + (4 * step); column < end; column += 4 * step) largest = Math.Max(largest, LargestMagnitude(Load(a, row, column, step, end)));
        largest = ClusterMax(largest, size);
        float inverse = TCodes.Inverse(largest);
        Store(a, row, first, step, end, chunks, inverse);
        for (int column = first + (4 * step); column < end; column += 4 * step) Store(a, row, column, step, end, Load(a, row, column, step, end), inverse);
        if (first == 0 && row < rows) StoreScale(a, row, largest);
        // Nobody ends while others may read its memory.
        Cluster.Wait();
    }

    private static void RunKnown(CodeRoundArguments a)
    {
        GridDependency.LaunchDependents();
        int thread = (Grid.IdxX * Group.DimX) + Group.IdxX, column = (thread >> a.RowShift) * CoreRow.Columns;
        int row = (Grid.IdxY << a.RowShift) + (thread & ((1 << a.RowShift) - 1)), end = row < Global.LoadInt(a.Count) ? a.Stride : 0;
        GridDependency.Wait();
        UInt4 halves = Load(a, row, column, end);
        int largest = RowMaxima.Load(a.Maxima, row);
        Store(a, row, column, end, halves, TCodes.Inverse(largest));
        if (column == 0 && end != 0) StoreScale(a, row, largest);
    }

    /// <summary>The lane's row of eight.</summary>
    private static int Row() => Warp.LaneIdx & (CoreTiles.CoreRows - 1);

    /// <summary>The largest of the values that a cluster's threads have for the same row. Arrives at the cluster's barrier when the others' memory has been read.</summary>
    private static int ClusterMax(int value, int size)
    {
        int part = Warp.LaneIdx >> RowShift, own = Shared.Base() + (Row() * sizeof(int));
        value = LanesMax(value);
        if (part == 0) Shared.StoreInt(own + ((1 + (Group.IdxX >> 5)) * RowsBytes), value);
        Group.Barrier();
        if (Group.IdxX < Lanes)
        {
            for (int warp = part; warp < Group.DimX >> 5; warp += Lanes >> RowShift) value = Math.Max(value, Shared.LoadInt(own + ((1 + warp) * RowsBytes)));
            value = LanesMax(value);
            if (part == 0) Shared.StoreInt(own, value);
        }
        Cluster.Arrive();
        Cluster.Wait();
        value = 0;
        for (int rank = part; rank < size; rank += Lanes >> RowShift) value = Math.Max(value, Cluster.LoadInt(Cluster.Map(own, rank)));
        Cluster.Arrive();
        return LanesMax(value);
    }

    /// <summary>The largest of the lanes of a row.</summary>
    private static int LanesMax(int value)
    {
        value = Math.Max(value, Warp.ShuffleXor(value, CoreTiles.CoreRows));
        return Math.Max(value, Warp.ShuffleXor(value, 2 * CoreTiles.CoreRows));
    }

    private static Chunks Load(CodeRoundArguments a, int row, int column, int step, int end) => new()
    {
        A = Load(a, row, column, end),
        B = Load(a, row, column + step, end),
        C = Load(a, row, column + (2 * step), end),
        D = Load(a, row, column + (3 * step), end),
    };

    private static UInt4 Load(CodeRoundArguments a, int row, int column, int end)
    {
        UInt4 halves = default;
        if (column < end) halves = Global.Load16(a.X + CoreTiles.OperandOffset(row, column, a.Stride, a.XBlockRows));
        return halves;
    }

    private static int LargestMagnitude(Chunks chunks) => Math.Max(
        Math.Max(CoreRow.LargestMagnitude(CoreRow.Widen(chunks.A)), CoreRow.LargestMagnitude(CoreRow.Widen(chunks.B))),
        Math.Max(CoreRow.LargestMagnitude(CoreRow.Widen(chunks.C)), CoreRow.LargestMagnitude(CoreRow.Widen(chunks.D))));

    private static void Store(CodeRoundArguments a, int row, int column, int step, int end, Chunks chunks, float inverse)
    {
        Store(a, row, column, end, chunks.A, inverse);
        Store(a, row, column + step, end, chunks.B, inverse);
        Store(a, row, column + (2 * step), end, chunks.C, inverse);
        Store(a, row, column + (3 * step), end, chunks.D, inverse);
    }

    private static void Store(CodeRoundArguments a, int row, int column, int end, UInt4 halves, float inverse)
    {
        if (column >= end) return;
        long codes = (long)TCodes.Round(CoreRow.Multiply(CoreRow.Widen(halves), inverse));
        Global.StoreLong(a.Y + ByteTiles.OperandOffset(row, column, a.Stride, a.YBlockRows), codes);
    }

    /// <summary>Stores a row's scale, by one thread, which clears a maximum that is no longer needed.</summary>
    private static void StoreScale(CodeRoundArguments a, int row, int largest)
    {
        Global.StoreFloat(a.Scales + ((long)row * sizeof(float)), TCodes.Scale(largest));
        if (a.SpentMaxima != 0) RowMaxima.Clear(a.SpentMaxima, row);
    }

    /// <summary>Four times eight neighbours of a row.</summary>
    private struct Chunks
    {
        public UInt4 A, B, C, D;
    }
}
