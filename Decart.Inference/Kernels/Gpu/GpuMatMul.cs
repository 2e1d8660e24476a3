using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// y = epilogue(x W^T) for as many rows as <see cref="Count"/> says; or, with <see cref="ExpertBlocks"/>, blocks of rows of which each has an expert's weight.
/// </summary>
internal struct MatMulArguments
{
    /// <summary>An operand; see <see cref="CoreTiles"/>.</summary>
    public long X;

    /// <summary>Address of the number of rows (int); with experts of tokens, which is not used.</summary>
    public long Count;

    /// <summary>The weight; or the address of the experts' weights' addresses.</summary>
    public long Weight;

    /// <summary>With experts: what <see cref="ExpertBlock"/> reads, for blocks of <see cref="XBlockRows"/>; else 0.</summary>
    public long ExpertBlocks;

    /// <summary>Float32, in the order of the weight's rows as they were stored; or 0.</summary>
    public long Bias;

    public long Y;

    /// <summary>Columns of y; with <see cref="Gated"/> the weight has twice as many rows, as <see cref="CoreTiles.GatedRow"/> says.</summary>
    public int Columns;

    /// <summary>Rows of the weight, with padding.</summary>
    public int WeightRows;

    /// <summary>Columns of the weight and of x, with padding.</summary>
    public int Stride;

    public int YStride;

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

    /// <summary>1: y is an operand, stored as halves; else 0 (see <see cref="NibbleRun.Zero"/>).</summary>
    public int HalfY;

    /// <summary>For codes: the weight's scales, unless they are among them, and those of the rows of x.</summary>
    public long Scales, XScales;

    /// <summary>See <see cref="RowMaxima"/>: where those of the rows of y are, or 0.</summary>
    public long Maxima;

    /// <summary>How a packed weight is scaled.</summary>
    public PackedScaling Scaling;
}

/// <summary>The portable matmul: each thread computes one column for a few rows; every sum goes over k in ascending order.</summary>
internal static class GpuMatMul
{
    /// <summary>Rows of a group.</summary>
    public const int TileRows = 4;

    /// <summary>Rows of a block of an expert.</summary>
    public const int ExpertRows = 8;

    /// <summary>Groups: columns / group size, rows / <see cref="TileRows"/>, or rows of a block; blocks of experts.</summary>
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run);

    private static void Run(MatMulArguments a)
    {
        int column = (Grid.IdxX * Group.DimX) + Group.IdxX, row = (Grid.IdxZ * a.XBlockRows) + (Grid.IdxY * TileRows);
        (long weight, int end) = ExpertBlock.Find(a, Grid.IdxZ);
        if (column >= a.Columns || row >= end) return;
        long x0 = XAddress(a, row), x1 = XAddress(a, Last(row + 1, end)), x2 = XAddress(a, Last(row + 2, end)), x3 = XAddress(a, Last(row + 3, end));
        Float4 sums = Products(a, weight, a.Gated != 0 ? CoreTiles.GatedRow(column, a.Columns) : column, x0, x1, x2, x3), ups = default;
        if (a.Gated != 0) ups = Products(a, weight, CoreTiles.GatedRow(a.Columns + column, a.Columns), x0, x1, x2, x3);
        GpuEpilogue.StoreElement(a, row, column, sums.A, ups.A);
        if (row + 1 < end) GpuEpilogue.StoreElement(a, row + 1, column, sums.B, ups.B);
        if (row + 2 < end) GpuEpilogue.StoreElement(a, row + 2, column, sums.C, ups.C);
        if (row + 3 < end) GpuEpilogue.StoreElement(a, row + 3, column, sums.D, ups.D);
    }

    private static long XAddress(MatMulArguments a, int row) => a.X + CoreTiles.OperandOffset(row, 0, a.Stride, a.XBlockRows);

    private static int Last(int row, int end) => row < end ? row : end - 1;

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
