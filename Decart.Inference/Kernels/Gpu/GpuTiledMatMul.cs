using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The matmul of many rows on tensor cores (sm_80): 128 rows of the weight times 128 rows of x in a group. Both operands come through shared memory, 32
/// columns at a time and two steps ahead (cp.async), so that each is fetched once for 128 rows of the other. A warp has 64 rows of each: what it
/// loads from shared memory it multiplies with eight tiles.
/// </summary>
/// <remarks>
/// Shared memory holds of 32 columns the 64 bytes of one row after another: the 16 bytes of eight neighbouring lanes are 128 in a row, without conflicts. They
/// are the fragments of <see cref="GpuTensorMatMul"/>, in its order and its segments, so the bits are the same. Sums of earlier segments wait in shared
/// memory: beside those of the present one, registers have no room for them.
/// </remarks>
internal static class GpuTiledMatMul
{
    /// <summary>Rows of x of a group.</summary>
    public const int Rows = 128;

    private const int Lanes = 32, Warps = 4, WeightRows = 128, WarpRows = 64;
    private const int StepColumns = 32, StepBytes = StepColumns * sizeof(ushort), ChunkBytes = 16;
    private const int StepsOfSegment = GpuTensorMatMul.SegmentColumns / StepColumns;

    /// <summary>Where the rows of x begin in a step of both operands, and its bytes.</summary>
    private const int SourceOffset = WeightRows * StepBytes, StageBytes = (WeightRows + Rows) * StepBytes;

    /// <summary>Threads that copy a row of a step, and rows of either operand that all threads copy at once.</summary>
    private const int Chunks = StepBytes / ChunkBytes, RowsAtOnce = Lanes * Warps / Chunks;

    /// <summary>Steps in shared memory; behind them the sums of earlier segments.</summary>
    private const int Stages = 3, SumsOffset = Stages * StageBytes;

    /// <summary>Bytes from one register of a thread's sums to its next.</summary>
    private const int RegisterBytes = Lanes * Warps * sizeof(float);

    /// <summary>Floats from one row of x to the next where a warp lays out its outputs: 4 more than a row, so that lanes meet different banks.</summary>
    private const int OutputStride = WarpRows + 4;

    /// <summary>Groups: rows / <see cref="Rows"/>, columns / <see cref="GroupColumns"/>, experts.</summary>
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, Lanes * Warps) { SharedBytes = SumsOffset + (WeightRows * Rows * sizeof(float)) };

    /// <summary>A warp's accumulators: of each 16 rows of the weight.</summary>
    private struct Sums
    {
        public GpuTileSums A, B, C, D;
    }

    /// <summary>Where a thread copies from: its 16 bytes of four rows of the weight and of four of x.</summary>
    private struct Copies
    {
        public long A, B, C, D, E, F, G, H;
    }

    /// <summary>Columns of y of a group.</summary>
    public static int GroupColumns(bool gated) => gated ? WeightRows / 2 : WeightRows;

    private static void Run(MatMulArguments a)
    {
        int expert = Grid.IdxZ, lane = Warp.LaneIdx, warp = Group.IdxX / Lanes;
        (int first, int end) = GpuMatMul.Places(a, expert);
        int place = first + (Grid.IdxX * Rows), column = Grid.IdxY * (a.Gated != 0 ? WeightRows / 2 : WeightRows);
        if (place >= end) return;
        int memory = Shared.Base(), steps = a.Stride / StepColumns;
        Copies copies = CopiesOf(a, expert, place, end, column);
        Start(copies, memory, 0, steps);
        Start(copies, memory + StageBytes, 1, steps);
        int weightRow = (warp / 2 * WarpRows) + (lane / 4), sourceRow = (warp % 2 * WarpRows) + (lane / 4);
        int weights = memory + (weightRow * StepBytes) + (lane % 4 * ChunkBytes);
        int sources = memory + SourceOffset + (sourceRow * StepBytes) + (lane % 4 * ChunkBytes);
        int stage = 0, free = 2 * StageBytes;
        uint zero = (uint)(a.Columns >> 31); // which the driver's compiler does not know
        int earlier = memory + SumsOffset + (Group.IdxX * sizeof(float));
        Sums total = default;
        for (int begin = 0; begin < steps; begin += StepsOfSegment)
        {
            Sums sums = default;
            int stop = begin + StepsOfSegment < steps ? begin + StepsOfSegment : steps;
            for (int step = begin; step < stop; step++)
            {
                AsyncCopy.Wait(1); // all but the latest step's
                Group.Barrier(); // others' copies are there, and nobody reads what is overwritten next
                Start(copies, memory + free, step + 2, steps);
                Multiply(ref sums, weights + stage, sources + stage, zero);
                free = stage;
                stage = stage + StageBytes == SumsOffset ? 0 : stage + StageBytes;
            }
            total = begin == 0 ? sums : AddEarlier(sums, earlier);
            if (stop < steps) Keep(total, earlier);
        }
        Group.Barrier();
        int outputs = memory + (warp * WarpRows * OutputStride * sizeof(float));
        Spread(outputs, total.A, 0);
        Spread(outputs, total.B, 16);
        Spread(outputs, total.C, 32);
        Spread(outputs, total.D, 48);
        Warp.Barrier();
        Store(a, outputs, place + (warp % 2 * WarpRows), end, column + (warp / 2 * (a.Gated != 0 ? WarpRows / 2 : WarpRows)));
    }

    private static Copies CopiesOf(MatMulArguments a, int expert, int place, int end, int column)
    {
        long weight = GpuMatMul.WeightAddress(a, expert);
        return new Copies
        {
            A = WeightSource(a, weight, column, 0),
            B = WeightSource(a, weight, column, 1),
            C = WeightSource(a, weight, column, 2),
            D = WeightSource(a, weight, column, 3),
            E = Source(a, place, end, 0),
            F = Source(a, place, end, 1),
            G = Source(a, place, end, 2),
            H = Source(a, place, end, 3),
        };
    }

    /// <summary>Where the thread copies from a row of the weight; rows past the end repeat the last one.</summary>
    private static long WeightSource(MatMulArguments a, long weight, int column, int index)
    {
        int own = (Group.IdxX / Chunks) + (index * RowsAtOnce), row = column + own;
        if (a.Gated != 0) row = column + (own / WarpRows * (WarpRows / 2)) + (own % (WarpRows / 2)); // a warp has 32 gates, then their ups
        if (row >= a.Columns) row = a.Columns - 1;
        if (a.Gated != 0 && own % WarpRows >= WarpRows / 2) row += a.Columns;
        return weight + ((long)row * a.Stride * sizeof(ushort)) + (Group.IdxX % Chunks * ChunkBytes);
    }

    private static long Source(MatMulArguments a, int place, int end, int index)
    {
        int own = place + (Group.IdxX / Chunks) + (index * RowsAtOnce);
        return GpuMatMul.SourceAddress(a, GpuMatMul.RowAt(a, own < end ? own : end - 1)) + (Group.IdxX % Chunks * ChunkBytes);
    }

    /// <summary>Starts the copies of a step, if there is such a step.</summary>
    private static void Start(Copies copies, int stage, int step, int steps)
    {
        if (step < steps)
        {
            const int NextRows = RowsAtOnce * StepBytes;
            int destination = stage + (Group.IdxX * ChunkBytes), x = destination + SourceOffset;
            long column = (long)step * StepBytes;
            AsyncCopy.Start16(destination, copies.A + column);
            AsyncCopy.Start16(destination + NextRows, copies.B + column);
            AsyncCopy.Start16(destination + (2 * NextRows), copies.C + column);
            AsyncCopy.Start16(destination + (3 * NextRows), copies.D + column);
            AsyncCopy.Start16(x, copies.E + column);
            AsyncCopy.Start16(x + NextRows, copies.F + column);
            AsyncCopy.Start16(x + (2 * NextRows), copies.G + column);
            AsyncCopy.Start16(x + (3 * NextRows), copies.H + column);
        }
        AsyncCopy.Commit();
    }

    /// <summary>Multiplies 32 columns of the warp's rows.</summary>
    private static void Multiply(ref Sums sums, int weights, int sources, uint zero)
    {
        const int Tile = 8 * StepBytes;
        UInt4 a = Shared.Load16(sources), b = Shared.Load16(sources + Tile), c = Shared.Load16(sources + (2 * Tile)), d = Shared.Load16(sources + (3 * Tile));
        UInt4 e = Shared.Load16(sources + (4 * Tile)), f = Shared.Load16(sources + (5 * Tile));
        UInt4 g = Shared.Load16(sources + (6 * Tile)), h = Shared.Load16(sources + (7 * Tile));
        Multiply(ref sums.A, weights, zero, a, b, c, d, e, f, g, h);
        Multiply(ref sums.B, weights + (2 * Tile), zero, a, b, c, d, e, f, g, h);
        Multiply(ref sums.C, weights + (4 * Tile), zero, a, b, c, d, e, f, g, h);
        Multiply(ref sums.D, weights + (6 * Tile), zero, a, b, c, d, e, f, g, h);
    }

    /// <summary>
    /// Multiplies 16 rows of the weight. Two rows' registers alternate in an operand, which has to be four in a row: adding 0 makes each operand once, where moves
    /// would be made anew for each tile of x, four instructions for each multiplication.
    /// </summary>
    private static void Multiply(ref GpuTileSums sums, int weights, uint zero, UInt4 a, UInt4 b, UInt4 c, UInt4 d, UInt4 e, UInt4 f, UInt4 g, UInt4 h)
    {
        UInt4 upper = Shared.Load16(weights), lower = Shared.Load16(weights + (8 * StepBytes));
        UInt4 first = new() { A = upper.A + zero, B = lower.A + zero, C = upper.B + zero, D = lower.B + zero };
        UInt4 second = new() { A = upper.C + zero, B = lower.C + zero, C = upper.D + zero, D = lower.D + zero };
        sums.A = TensorCore.MultiplyHalves(sums.A, first, a.A, a.B);
        sums.B = TensorCore.MultiplyHalves(sums.B, first, b.A, b.B);
        sums.C = TensorCore.MultiplyHalves(sums.C, first, c.A, c.B);
        sums.D = TensorCore.MultiplyHalves(sums.D, first, d.A, d.B);
        sums.E = TensorCore.MultiplyHalves(sums.E, first, e.A, e.B);
        sums.F = TensorCore.MultiplyHalves(sums.F, first, f.A, f.B);
        sums.G = TensorCore.MultiplyHalves(sums.G, first, g.A, g.B);
        sums.H = TensorCore.MultiplyHalves(sums.H, first, h.A, h.B);
        sums.A = TensorCore.MultiplyHalves(sums.A, second, a.C, a.D);
        sums.B = TensorCore.MultiplyHalves(sums.B, second, b.C, b.D);
        sums.C = TensorCore.MultiplyHalves(sums.C, second, c.C, c.D);
        sums.D = TensorCore.MultiplyHalves(sums.D, second, d.C, d.D);
        sums.E = TensorCore.MultiplyHalves(sums.E, second, e.C, e.D);
        sums.F = TensorCore.MultiplyHalves(sums.F, second, f.C, f.D);
        sums.G = TensorCore.MultiplyHalves(sums.G, second, g.C, g.D);
        sums.H = TensorCore.MultiplyHalves(sums.H, second, h.C, h.D);
    }

    /// <summary>The sums kept from earlier segments and those of the one after them.</summary>
    private static Sums AddEarlier(Sums sums, int earlier) => new()
    {
        A = AddEarlier(sums.A, earlier, 0),
        B = AddEarlier(sums.B, earlier, 8),
        C = AddEarlier(sums.C, earlier, 16),
        D = AddEarlier(sums.D, earlier, 24),
    };

    private static GpuTileSums AddEarlier(GpuTileSums sums, int earlier, int tile) => new()
    {
        A = AddEarlier(sums.A, earlier, tile),
        B = AddEarlier(sums.B, earlier, tile + 1),
        C = AddEarlier(sums.C, earlier, tile + 2),
        D = AddEarlier(sums.D, earlier, tile + 3),
        E = AddEarlier(sums.E, earlier, tile + 4),
        F = AddEarlier(sums.F, earlier, tile + 5),
        G = AddEarlier(sums.G, earlier, tile + 6),
        H = AddEarlier(sums.H, earlier, tile + 7),
    };

    private static Float4 AddEarlier(Float4 sums, int earlier, int tile)
    {
        int address = earlier + (tile * 4 * RegisterBytes);
        return new Float4
        {
            A = Shared.LoadFloat(address) + sums.A,
            B = Shared.LoadFloat(address + RegisterBytes) + sums.B,
            C = Shared.LoadFloat(address + (2 * RegisterBytes)) + sums.C,
            D = Shared.LoadFloat(address + (3 * RegisterBytes)) + sums.D,
        };
    }

    /// <summary>Puts a thread's sums into shared memory, register by register of all threads.</summary>
    private static void Keep(Sums sums, int earlier)
    {
        Keep(sums.A, earlier, 0);
        Keep(sums.B, earlier, 8);
        Keep(sums.C, earlier, 16);
        Keep(sums.D, earlier, 24);
    }

    private static void Keep(GpuTileSums sums, int earlier, int tile)
    {
        Keep(sums.A, earlier, tile);
        Keep(sums.B, earlier, tile + 1);
        Keep(sums.C, earlier, tile + 2);
        Keep(sums.D, earlier, tile + 3);
        Keep(sums.E, earlier, tile + 4);
        Keep(sums.F, earlier, tile + 5);
        Keep(sums.G, earlier, tile + 6);
        Keep(sums.H, earlier, tile + 7);
    }

    private static void Keep(Float4 sums, int earlier, int tile)
    {
        int address = earlier + (tile * 4 * RegisterBytes);
        Shared.StoreFloat(address, sums.A);
        Shared.StoreFloat(address + RegisterBytes, sums.B);
        Shared.StoreFloat(address + (2 * RegisterBytes), sums.C);
        Shared.StoreFloat(address + (3 * RegisterBytes), sums.D);
    }

    /// <summary>Lays out what the warp has of 16 rows of the weight: row by row of x, column by column of y.</summary>
    private static void Spread(int outputs, GpuTileSums sums, int column)
    {
        Spread(outputs, 0, column, sums.A);
        Spread(outputs, 8, column, sums.B);
        Spread(outputs, 16, column, sums.C);
        Spread(outputs, 24, column, sums.D);
        Spread(outputs, 32, column, sums.E);
        Spread(outputs, 40, column, sums.F);
        Spread(outputs, 48, column, sums.G);
        Spread(outputs, 56, column, sums.H);
    }

    private static void Spread(int outputs, int row, int column, Float4 sum)
    {
        const int Row = OutputStride * sizeof(float);
        int address = outputs + ((row + (2 * (Warp.LaneIdx % 4))) * Row) + ((column + (Warp.LaneIdx / 4)) * sizeof(float));
        Shared.StoreFloat(address, sum.A);
        Shared.StoreFloat(address + Row, sum.B);
        Shared.StoreFloat(address + (8 * sizeof(float)), sum.C);
        Shared.StoreFloat(address + Row + (8 * sizeof(float)), sum.D);
    }

    /// <summary>Stores the warp's outputs, a lane a column, so that neighbours lie side by side in y.</summary>
    private static void Store(MatMulArguments a, int outputs, int place, int end, int column)
    {
        int own = column + Warp.LaneIdx, address = outputs + (Warp.LaneIdx * sizeof(float));
        for (int row = 0; row < WarpRows && place + row < end; row++, address += OutputStride * sizeof(float))
        {
            int y = GpuMatMul.RowAt(a, place + row);
            float first = Shared.LoadFloat(address), second = Shared.LoadFloat(address + (Lanes * sizeof(float)));
            if (own < a.Columns) GpuMatMul.Store(a, y, own, first, second);
            if (a.Gated == 0 && own + Lanes < a.Columns) GpuMatMul.Store(a, y, own + Lanes, second, 0);
        }
    }
}
