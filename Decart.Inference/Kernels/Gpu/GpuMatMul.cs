using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// y = epilogue(x W^T) for as many rows as <see cref="Count"/> says; or, with <see cref="Order"/>, one such product for each expert: expert e takes the
/// places Starts[e] .. Starts[e + 1] - 1 of Order, which hold rows of y; row r of y belongs to row r / <see cref="RowsPerSource"/> of x.
/// </summary>
internal struct MatMulArguments
{
    /// <summary>An operand; see <see cref="CoreTiles"/>.</summary>
    public long X;

    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>The weight; or the address of the experts' weights' addresses.</summary>
    public long Weight;

    public long Order, Starts;

    /// <summary>Float32, in the order of the weight's rows as they were stored; or 0.</summary>
    public long Bias;

    public long Y;

    /// <summary>Columns of y; with <see cref="Gated"/> the weight has twice as many rows, as <see cref="CoreTiles.GatedRow"/> says.</summary>
    public int Columns;

    /// <summary>Rows of the weight, with padding.</summary>
    public int WeightRows;

    /// <summary>Columns of the weight and of x, with padding.</summary>
    public int Stride;

    public int YStride, RowsPerSource;

    /// <summary>Rows of a block of x, and of y where that is an operand.</summary>
    public int XBlockRows, YBlockRows;

    /// <summary>For <see cref="GpuRingMatMul{TSums}"/>: blocks of x, and groups for each of them when each takes its share of the weight, or 0.</summary>
    public int XBlocks, GroupsPerBlock;

    /// <summary>The most tiles of a pass, and tiles that shares are multiples of.</summary>
    public int TilesPerPass, TilesPerUnit;

    /// <summary>See <see cref="Epilogue"/>; 1 or 0.</summary>
    public int Gated, Accumulate;

    /// <summary>See <see cref="ActivationFunction"/>.</summary>
    public int Function;

    public float SoftCap;

    /// <summary>1: y is an operand, stored as halves.</summary>
    public int HalfY;

    /// <summary>For <see cref="GpuFp8MatMul{TSums, TScales}"/>: the weight's scales, and those of the rows of x.</summary>
    public long Scales, XScales;

    /// <summary>1: the weight is packed, and all its scales are halves.</summary>
    public int HalfScales;
}

/// <summary>The portable matmul: each thread computes one column for a few rows; every sum goes over k in ascending order.</summary>
internal static class GpuMatMul
{
    /// <summary>Rows of a group.</summary>
    public const int TileRows = 4;

    /// <summary>Groups: columns / group size, rows / <see cref="TileRows"/>, experts.</summary>
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run);

    /// <summary>The rows of an expert as the half-open range of places; all rows when there are no experts.</summary>
    public static (int First, int End) Places(MatMulArguments a, int expert) => a.Order == 0
        ? (0, Global.LoadInt(a.Count))
        : (Global.LoadInt(a.Starts + (expert * sizeof(int))), Global.LoadInt(a.Starts + ((expert + 1) * sizeof(int))));

    public static long WeightAddress(MatMulArguments a, int expert) => a.Order == 0 ? a.Weight : Global.LoadLong(a.Weight + (expert * sizeof(long)));

    /// <summary>The row of y at a place.</summary>
    public static int RowAt(MatMulArguments a, int place) => a.Order == 0 ? place : Global.LoadInt(a.Order + (place * sizeof(int)));

    /// <summary>The address of the first elements of the row of x that makes a row of y.</summary>
    public static long SourceAddress(MatMulArguments a, int row) => a.X + CoreTiles.OperandOffset(row / a.RowsPerSource, 0, a.Stride, a.XBlockRows);

    private static void Run(MatMulArguments a)
    {
        int column = (Grid.IdxX * Group.DimX) + Group.IdxX, expert = Grid.IdxZ;
        (int first, int end) = Places(a, expert);
        int place = first + (Grid.IdxY * TileRows);
        if (column >= a.Columns || place >= end) return;
        int row0 = RowAt(a, place), row1 = RowAt(a, Last(place + 1, end)), row2 = RowAt(a, Last(place + 2, end)), row3 = RowAt(a, Last(place + 3, end));
        long weight = WeightAddress(a, expert);
        long x0 = SourceAddress(a, row0), x1 = SourceAddress(a, row1), x2 = SourceAddress(a, row2), x3 = SourceAddress(a, row3);
        Float4 sums = Products(a, weight, a.Gated != 0 ? CoreTiles.GatedRow(column, a.Columns) : column, x0, x1, x2, x3), ups = default;
        if (a.Gated != 0) ups = Products(a, weight, CoreTiles.GatedRow(a.Columns + column, a.Columns), x0, x1, x2, x3);
        GpuEpilogue.StoreElement(a, row0, column, sums.A, ups.A);
        if (place + 1 < end) GpuEpilogue.StoreElement(a, row1, column, sums.B, ups.B);
        if (place + 2 < end) GpuEpilogue.StoreElement(a, row2, column, sums.C, ups.C);
        if (place + 3 < end) GpuEpilogue.StoreElement(a, row3, column, sums.D, ups.D);
    }

    private static int Last(int place, int end) => place < end ? place : end - 1;

    private static Float4 Products(MatMulArguments a, long weight, int weightRow, long x0, long x1, long x2, long x3)
    {
        Float4 sums = default;
        long row = weight + CoreTiles.WeightOffset(weightRow, 0, a.WeightRows, a.Stride);
        long nextPiece = CoreTiles.WeightOffset(weightRow, CoreTiles.PieceColumns, a.WeightRows, a.Stride)
            - CoreTiles.WeightOffset(weightRow, 0, a.WeightRows, a.Stride);
        long nextXPiece = (long)a.XBlockRows * CoreTiles.RowBytes;
        for (int piece = 0; piece < a.Stride / CoreTiles.PieceColumns; piece++)
        {
            for (int core = 0; core < CoreTiles.CoreRowBytes; core += CoreTiles.CoreBytes)
            {
                UInt4 w = Global.LoadConstant16(row + (piece * nextPiece) + core);
                long offset = (piece * nextXPiece) + core;
                sums.A = Dot(w, Global.Load16(x0 + offset), sums.A);
                sums.B = Dot(w, Global.Load16(x1 + offset), sums.B);
                sums.C = Dot(w, Global.Load16(x2 + offset), sums.C);
                sums.D = Dot(w, Global.Load16(x3 + offset), sums.D);
            }
        }
        return sums;
    }

    private static float Dot(UInt4 w, UInt4 x, float sum) => Dot(w.D, x.D, Dot(w.C, x.C, Dot(w.B, x.B, Dot(w.A, x.A, sum))));

    private static float Dot(uint w, uint x, float sum) =>
        Float32.Fma(Halves.High(w), Halves.High(x), Float32.Fma(Halves.Low(w), Halves.Low(x), sum));
}
