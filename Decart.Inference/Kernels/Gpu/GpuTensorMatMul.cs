using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The matmul on tensor cores (sm_80). A warp multiplies two tiles of 16 rows of the weight with up to eight tiles of 8 rows of x. With g = lane / 4
/// and t = lane % 4 a lane loads of 32 columns its 16 bytes at 8t: of rows g and g + 8 of a weight's tile, of row g of a tile of x. Those are the
/// fragments of two
/// <c>mma.sync</c>, whose inner dimension takes the columns in an order of its own, the same for both operands; so nothing goes through shared memory.
/// </summary>
/// <remarks>
/// A normalising kernel takes x as float32 and makes of each 16 bytes what <see cref="GpuNorm"/> would have stored there, bit for bit.
/// An output is the sum, in order, of segments of <see cref="SegmentColumns"/> columns, each a chain of mma from 0. In the narrow kernels the warps
/// of a group share one pair of tiles and take segments in turn; in the wide one each warp has its own pair and takes all. The bits are the same.
/// </remarks>
internal static class GpuTensorMatMul
{
    /// <summary>Rows of a group of the wide kernel.</summary>
    public const int WideRows = 64;

    /// <summary>Columns that one chain of mma sums.</summary>
    internal const int SegmentColumns = 1024;

    private const int Lanes = 32, Warps = 4, TileRows = 8, WeightRows = 16;

    /// <summary>Bytes of 32 columns, the inner dimension of two mma.</summary>
    private const int StepBytes = 64;

    /// <summary>Tiles of the widest narrow kernel, and registers of a tile in a lane.</summary>
    private const int MaxNarrowTiles = 4, TileRegisters = 4;

    /// <summary>
    /// Floats from one row of x to the next where the wide kernel lays out its outputs: 4 more than a row, so that lanes meet different banks.
    /// </summary>
    private const int OutputStride = (2 * WeightRows) + 4;

    /// <summary>
    /// The kernels for up to 8, 16 and 32 rows a group, and the normalising one for up to 8. Groups: rows, columns / <see cref="PairColumns"/>, experts.
    /// </summary>
    public static readonly GpuKernel<MatMulArguments> Narrow8 = new(Run8, Lanes * Warps), Narrow16 = new(Run16, Lanes * Warps),
        Narrow32 = new(Run32, Lanes * Warps), Normed8 = new(RunNormed8, Lanes * Warps);

    /// <summary>Groups: rows / <see cref="WideRows"/>, columns / <see cref="Warps"/> / <see cref="PairColumns"/>, experts.</summary>
    public static readonly GpuKernel<MatMulArguments> Wide = new(RunWide, Lanes * Warps);

    /// <summary>The addresses of the lane's 16 bytes of each tile of x; in the normalising kernel the lane's row of its one tile.</summary>
    private struct Sources
    {
        public long A, B, C, D, E, F, G, H;
        public GpuNormedRow Normed;
    }

    /// <summary>32 columns of a pair of tiles of the weight: rows g and g + 8 of the first, then of the second.</summary>
    private struct Weights
    {
        public UInt4 Upper, Lower, SecondUpper, SecondLower;
    }

    /// <summary>The addresses of the lane's first 16 bytes of the four rows of <see cref="Weights"/>.</summary>
    private struct WeightAddresses
    {
        public long Upper, Lower, SecondUpper, SecondLower;
    }

    /// <summary>Columns of y that a pair of tiles makes: 16 gates and their ups, or twice 16.</summary>
    public static int PairColumns(bool gated) => gated ? WeightRows : 2 * WeightRows;

    /// <summary>Columns of y of a group of the wide kernel.</summary>
    public static int WideColumns(bool gated) => Warps * PairColumns(gated);

    private static void Run8(MatMulArguments a) => RunNarrow(a, 1, norms: false);

    private static void RunNormed8(MatMulArguments a) => RunNarrow(a, 1, norms: true);

    private static void Run16(MatMulArguments a) => RunNarrow(a, 2, norms: false);

    private static void Run32(MatMulArguments a) => RunNarrow(a, MaxNarrowTiles, norms: false);

    /// <param name="a">The operation.</param>
    /// <param name="tiles">Tiles of 8 rows: a constant, 1, 2 or 4.</param>
    /// <param name="norms">Whether x is normalised: a constant.</param>
    private static void RunNarrow(MatMulArguments a, int tiles, bool norms)
    {
        ArrayView<float> parts = SharedMemory.Allocate1D<float>(Warps * 2 * MaxNarrowTiles * TileRegisters * Lanes).BaseView;
        int expert = Grid.IdxZ, lane = Warp.LaneIdx, warp = Group.IdxX / Lanes;
        (int first, int end) = GpuMatMul.Places(a, expert);
        int place = first + (Grid.IdxX * tiles * TileRows);
        if (place >= end) return;
        int column = Grid.IdxY * (a.Gated != 0 ? WeightRows : 2 * WeightRows);
        long weight = GpuMatMul.WeightAddress(a, expert);
        WeightAddresses rows = AddressesOf(a, weight, column);
        Sources sources = default;
        if (norms) sources.Normed = GpuNormedRow.Measure(a, place, end, parts);
        else sources = SourcesOf(a, place, end, tiles);

        // The lane adds up register `warp` of the lane of the same number, of every tile.
        Float4 total = default, secondTotal = default;
        for (int round = 0; round < a.Stride; round += Warps * SegmentColumns)
        {
            int begin = round + (warp * SegmentColumns);
            if (begin < a.Stride)
            {
                GpuTileSums sums = default, secondSums = default;
                int stop = begin + SegmentColumns < a.Stride ? begin + SegmentColumns : a.Stride;
                Weights near = Load(rows, begin * sizeof(ushort)), far = Load(rows, (begin * sizeof(ushort)) + StepBytes);
                for (int k = begin * sizeof(ushort); k < stop * sizeof(ushort); k += 2 * StepBytes)
                {
                    // The next columns are on their way while these are multiplied.
                    Weights nextNear = near, nextFar = far;
                    if (k + (2 * StepBytes) < stop * sizeof(ushort))
                    {
                        nextNear = Load(rows, k + (2 * StepBytes));
                        nextFar = Load(rows, k + (3 * StepBytes));
                    }
                    Multiply(ref sums, ref secondSums, near, sources, k, tiles, norms);
                    Multiply(ref sums, ref secondSums, far, sources, k + StepBytes, tiles, norms);
                    near = nextNear;
                    far = nextFar;
                }
                Put(parts, warp, 0, tiles, sums);
                Put(parts, warp, 1, tiles, secondSums);
            }
            Group.Barrier();
            for (int part = 0; part < Warps && round + (part * SegmentColumns) < a.Stride; part++)
            {
                total = Add(total, parts, part, 0, tiles, warp);
                secondTotal = Add(secondTotal, parts, part, 1, tiles, warp);
            }
            Group.Barrier();
        }
        int row = place + (2 * (lane % 4)) + (warp & 1);
        column += (lane / 4) + (warp >= 2 ? 8 : 0);
        StoreElement(a, row, end, column, total.A, secondTotal.A);
        if (tiles > 1) StoreElement(a, row + 8, end, column, total.B, secondTotal.B);
        if (tiles > 2) StoreElement(a, row + 16, end, column, total.C, secondTotal.C);
        if (tiles > 2) StoreElement(a, row + 24, end, column, total.D, secondTotal.D);
    }

    private static void RunWide(MatMulArguments a)
    {
        int expert = Grid.IdxZ, lane = Warp.LaneIdx, warp = Group.IdxX / Lanes;
        (int first, int end) = GpuMatMul.Places(a, expert);
        int place = first + (Grid.IdxX * WideRows), column = ((Grid.IdxY * Warps) + warp) * (a.Gated != 0 ? WeightRows : 2 * WeightRows);
        if (place >= end || column >= a.Columns) return;
        long weight = GpuMatMul.WeightAddress(a, expert);
        WeightAddresses rows = AddressesOf(a, weight, column);
        Sources sources = SourcesOf(a, place, end, 8);

        GpuTileSums total = default, secondTotal = default;
        for (int begin = 0; begin < a.Stride; begin += SegmentColumns)
        {
            GpuTileSums sums = default, secondSums = default;
            int stop = begin + SegmentColumns < a.Stride ? begin + SegmentColumns : a.Stride;
            for (int k = begin * sizeof(ushort); k < stop * sizeof(ushort); k += 2 * StepBytes)
            {
                Weights near = Load(rows, k), far = Load(rows, k + StepBytes);
                Multiply(ref sums, ref secondSums, near, sources, k, 8, norms: false);
                Multiply(ref sums, ref secondSums, far, sources, k + StepBytes, 8, norms: false);
            }
            total = GpuTileSums.Add(total, sums);
            secondTotal = GpuTileSums.Add(secondTotal, secondSums);
        }
        const int WarpFloats = WideRows * OutputStride;
        ArrayView<float> outputs = SharedMemory.Allocate1D<float>(Warps * WarpFloats).BaseView.SubView(warp * WarpFloats, WarpFloats);
        Spread(outputs, total, 0);
        Spread(outputs, secondTotal, WeightRows);
        Warp.Barrier();
        // A lane a column, so that neighbours lie side by side in y; with gates two rows at once.
        int columns = a.Gated != 0 ? WeightRows : 2 * WeightRows, own = lane % columns;
        for (int row = lane / columns; row < WideRows && place + row < end; row += Lanes / columns)
        {
            float output = outputs[(row * OutputStride) + own];
            float up = a.Gated != 0 ? outputs[(row * OutputStride) + WeightRows + own] : 0;
            if (column + own < a.Columns) GpuMatMul.Store(a, GpuMatMul.RowAt(a, place + row), column + own, output, up);
        }
    }

    /// <summary>Lays out what the warp has of one tile of the weight: row by row of x, column by column of y.</summary>
    private static void Spread(ArrayView<float> outputs, GpuTileSums sums, int column)
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

    private static void Spread(ArrayView<float> outputs, int row, int column, Float4 sum)
    {
        int index = ((row + (2 * (Warp.LaneIdx % 4))) * OutputStride) + column + (Warp.LaneIdx / 4);
        outputs[index] = sum.A;
        outputs[index + OutputStride] = sum.B;
        outputs[index + 8] = sum.C;
        outputs[index + OutputStride + 8] = sum.D;
    }

    private static WeightAddresses AddressesOf(MatMulArguments a, long weight, int column) => new()
    {
        Upper = WeightRow(a, weight, column, 0),
        Lower = WeightRow(a, weight, column, 8),
        SecondUpper = WeightRow(a, weight, column, 16),
        SecondLower = WeightRow(a, weight, column, 24),
    };

    /// <summary>The address of the lane's first 16 bytes of a row of a pair of tiles; rows past the end repeat the last one.</summary>
    private static long WeightRow(MatMulArguments a, long weight, int column, int offset)
    {
        int row = column + (offset & 8) + (Warp.LaneIdx / 4);
        if (offset >= WeightRows && a.Gated == 0) row += WeightRows;
        if (row >= a.Columns) row = a.Columns - 1;
        if (offset >= WeightRows && a.Gated != 0) row += a.Columns;
        return weight + ((long)row * a.Stride * sizeof(ushort)) + (Warp.LaneIdx % 4 * 16);
    }

    private static Sources SourcesOf(MatMulArguments a, int place, int end, int tiles)
    {
        Sources sources = default;
        sources.A = Source(a, place, end);
        if (tiles > 1) sources.B = Source(a, place + 8, end);
        if (tiles > 2) sources.C = Source(a, place + 16, end);
        if (tiles > 2) sources.D = Source(a, place + 24, end);
        if (tiles > 4) sources.E = Source(a, place + 32, end);
        if (tiles > 4) sources.F = Source(a, place + 40, end);
        if (tiles > 4) sources.G = Source(a, place + 48, end);
        if (tiles > 4) sources.H = Source(a, place + 56, end);
        return sources;
    }

    private static long Source(MatMulArguments a, int place, int end)
    {
        int own = place + (Warp.LaneIdx / 4);
        return GpuMatMul.SourceAddress(a, GpuMatMul.RowAt(a, own < end ? own : end - 1)) + (Warp.LaneIdx % 4 * 16);
    }

    private static Weights Load(WeightAddresses rows, int k) => new()
    {
        Upper = Global.LoadStream16(rows.Upper + k),
        Lower = Global.LoadStream16(rows.Lower + k),
        SecondUpper = Global.LoadStream16(rows.SecondUpper + k),
        SecondLower = Global.LoadStream16(rows.SecondLower + k),
    };

    private static void Multiply(ref GpuTileSums sums, ref GpuTileSums secondSums, Weights weights, Sources sources, int k, int tiles, bool norms)
    {
        Multiply(ref sums.A, ref secondSums.A, weights, norms ? GpuNormedRow.Load(sources.Normed, k) : Global.Load16(sources.A + k));
        if (tiles > 1) Multiply(ref sums.B, ref secondSums.B, weights, Global.Load16(sources.B + k));
        if (tiles > 2) Multiply(ref sums.C, ref secondSums.C, weights, Global.Load16(sources.C + k));
        if (tiles > 2) Multiply(ref sums.D, ref secondSums.D, weights, Global.Load16(sources.D + k));
        if (tiles > 4) Multiply(ref sums.E, ref secondSums.E, weights, Global.Load16(sources.E + k));
        if (tiles > 4) Multiply(ref sums.F, ref secondSums.F, weights, Global.Load16(sources.F + k));
        if (tiles > 4) Multiply(ref sums.G, ref secondSums.G, weights, Global.Load16(sources.G + k));
        if (tiles > 4) Multiply(ref sums.H, ref secondSums.H, weights, Global.Load16(sources.H + k));
    }

    private static void Multiply(ref Float4 sum, ref Float4 secondSum, Weights weights, UInt4 x)
    {
        sum = Multiply(sum, weights.Upper, weights.Lower, x);
        secondSum = Multiply(secondSum, weights.SecondUpper, weights.SecondLower, x);
    }

    /// <summary>Adds the product of 32 columns of 16 rows of the weight and 8 of x.</summary>
    internal static Float4 Multiply(Float4 sum, UInt4 upper, UInt4 lower, UInt4 x)
    {
        sum = TensorCore.MultiplyHalves(sum, new UInt4 { A = upper.A, B = lower.A, C = upper.B, D = lower.B }, x.A, x.B);
        return TensorCore.MultiplyHalves(sum, new UInt4 { A = upper.C, B = lower.C, C = upper.D, D = lower.D }, x.C, x.D);
    }

    /// <summary>
    /// Where a warp leaves register 0 of a tile of its first or second tile of the weight; the other registers follow, lane by lane each.
    /// </summary>
    private static int PartIndex(int warp, int second, int tile) => ((((warp * 2) + second) * MaxNarrowTiles) + tile) * TileRegisters * Lanes;

    private static void Put(ArrayView<float> parts, int warp, int second, int tiles, GpuTileSums sums)
    {
        Put(parts, PartIndex(warp, second, 0), sums.A);
        if (tiles > 1) Put(parts, PartIndex(warp, second, 1), sums.B);
        if (tiles > 2) Put(parts, PartIndex(warp, second, 2), sums.C);
        if (tiles > 2) Put(parts, PartIndex(warp, second, 3), sums.D);
    }

    private static void Put(ArrayView<float> parts, int index, Float4 sum)
    {
        parts[index + Warp.LaneIdx] = sum.A;
        parts[index + Lanes + Warp.LaneIdx] = sum.B;
        parts[index + (2 * Lanes) + Warp.LaneIdx] = sum.C;
        parts[index + (3 * Lanes) + Warp.LaneIdx] = sum.D;
    }

    /// <summary>Adds one register of each tile.</summary>
    private static Float4 Add(Float4 total, ArrayView<float> parts, int warp, int second, int tiles, int register)
    {
        int offset = (register * Lanes) + Warp.LaneIdx;
        total.A += parts[PartIndex(warp, second, 0) + offset];
        if (tiles > 1) total.B += parts[PartIndex(warp, second, 1) + offset];
        if (tiles > 2) total.C += parts[PartIndex(warp, second, 2) + offset];
        if (tiles > 2) total.D += parts[PartIndex(warp, second, 3) + offset];
        return total;
    }

    /// <summary>Stores a gate with its up, or the same element of both tiles of the weight.</summary>
    private static void StoreElement(MatMulArguments a, int place, int end, int column, float first, float second)
    {
        if (place >= end) return;
        int row = GpuMatMul.RowAt(a, place);
        if (column < a.Columns) GpuMatMul.Store(a, row, column, first, second);
        if (a.Gated == 0 && column + WeightRows < a.Columns) GpuMatMul.Store(a, row, column + WeightRows, second, 0);
    }
}
