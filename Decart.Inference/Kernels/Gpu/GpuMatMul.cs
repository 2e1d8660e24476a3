using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// y = epilogue(x W^T) for as many rows as <see cref="Count"/> says; or, with <see cref="Order"/>, one such product for each expert: expert e takes the
/// places Starts[e] .. Starts[e + 1] - 1 of Order, which hold rows of y; row r of y belongs to row r / <see cref="RowsPerSource"/> of x. The kernels that
/// normalise take row <see cref="Sources"/>[r], or r, of a float32 x.
/// </summary>
internal struct MatMulArguments
{
    /// <summary>Rows of <see cref="Stride"/> halves, or float32 to be normalised; what lies behind the columns is 0.</summary>
    public long X;

    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>Address of the rows of x to take (int), or 0 for all in order.</summary>
    public long Sources;

    /// <summary>See <see cref="NormArguments"/>; the bias may be 0.</summary>
    public long NormScale, NormBias;

    /// <summary>The weight, its rows as those of x; or the address of the experts' weights' addresses.</summary>
    public long Weight;

    public long Order, Starts;

    /// <summary>Float32, in the order of the weight's rows; or 0.</summary>
    public long Bias;

    public long Y;

    /// <summary>Columns of y; with <see cref="Gated"/> the weight has twice as many rows.</summary>
    public int Columns;

    public int Stride, YStride, RowsPerSource;

    /// <summary>See <see cref="NormArguments"/>.</summary>
    public int NormColumns, RemoveMean;

    public float NormEpsilon;

    /// <summary>See <see cref="Epilogue"/>; 1 or 0.</summary>
    public int Gated, Accumulate;

    /// <summary>See <see cref="ActivationFunction"/>.</summary>
    public int Function;

    public float SoftCap;

    /// <summary>1: y is an operand, stored as halves.</summary>
    public int HalfY;
}

/// <summary>The portable matmul: each thread computes one column for a few rows; every sum goes over k in ascending order.</summary>
internal static class GpuMatMul
{
    /// <summary>Rows of a group.</summary>
    public const int TileRows = 4;

    /// <summary>Halves that are loaded at once.</summary>
    private const int Vector = 8;

    /// <summary>Groups: columns / group size, rows / <see cref="TileRows"/>, experts.</summary>
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run);

    /// <summary>The rows of an expert as the half-open range of places; all rows when there are no experts.</summary>
    public static (int First, int End) Places(MatMulArguments a, int expert) => a.Order == 0
        ? (0, Global.LoadInt(a.Count))
        : (Global.LoadInt(a.Starts + (expert * sizeof(int))), Global.LoadInt(a.Starts + ((expert + 1) * sizeof(int))));

    public static long WeightAddress(MatMulArguments a, int expert) => a.Order == 0 ? a.Weight : Global.LoadLong(a.Weight + (expert * sizeof(long)));

    /// <summary>The row of y at a place.</summary>
    public static int RowAt(MatMulArguments a, int place) => a.Order == 0 ? place : Global.LoadInt(a.Order + (place * sizeof(int)));

    /// <summary>The address of the row of x that makes a row of y.</summary>
    public static long SourceAddress(MatMulArguments a, int row) => a.X + ((long)(row / a.RowsPerSource) * a.Stride * sizeof(ushort));

    /// <summary>Applies the epilogue to one element and stores it.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="row">Row of y.</param>
    /// <param name="column">Column of y.</param>
    /// <param name="sum">The product with the column's row of the weight.</param>
    /// <param name="up">With a gate, the product with the ups' row.</param>
    public static void Store(MatMulArguments a, int row, int column, float sum, float up)
    {
        if (a.Bias != 0)
        {
            sum += Global.LoadFloat(a.Bias + ((long)column * sizeof(float)));
            if (a.Gated != 0) up += Global.LoadFloat(a.Bias + ((long)(a.Columns + column) * sizeof(float)));
        }
        float value = GpuMath.Activate(a.Function, sum);
        if (a.Gated != 0) value *= up;
        if (a.SoftCap != 0) value = GpuMath.SoftCap(value, a.SoftCap);
        long index = ((long)row * a.YStride) + column;
        if (a.HalfY != 0)
        {
            Global.Store2(a.Y + (index * sizeof(ushort)), Halves.Saturate(value));
            return;
        }
        long address = a.Y + (index * sizeof(float));
        Global.StoreFloat(address, a.Accumulate != 0 ? Global.LoadFloat(address) + value : value);
    }

    private static void Run(MatMulArguments a)
    {
        int column = (Grid.IdxX * Group.DimX) + Group.IdxX, expert = Grid.IdxZ;
        (int first, int end) = Places(a, expert);
        int place = first + (Grid.IdxY * TileRows);
        if (column >= a.Columns || place >= end) return;
        int row0 = RowAt(a, place), row1 = RowAt(a, Last(place + 1, end)), row2 = RowAt(a, Last(place + 2, end)), row3 = RowAt(a, Last(place + 3, end));
        long weight = WeightAddress(a, expert) + ((long)column * a.Stride * sizeof(ushort));
        long x0 = SourceAddress(a, row0), x1 = SourceAddress(a, row1), x2 = SourceAddress(a, row2), x3 = SourceAddress(a, row3);
        Float4 sums = Products(weight, x0, x1, x2, x3, a.Stride), ups = default;
        if (a.Gated != 0) ups = Products(weight + ((long)a.Columns * a.Stride * sizeof(ushort)), x0, x1, x2, x3, a.Stride);
        Store(a, row0, column, sums.A, ups.A);
        if (place + 1 < end) Store(a, row1, column, sums.B, ups.B);
        if (place + 2 < end) Store(a, row2, column, sums.C, ups.C);
        if (place + 3 < end) Store(a, row3, column, sums.D, ups.D);
    }

    private static int Last(int place, int end) => place < end ? place : end - 1;

    private static Float4 Products(long weight, long x0, long x1, long x2, long x3, int stride)
    {
        Float4 sums = default;
        for (int k = 0; k < stride * sizeof(ushort); k += Vector * sizeof(ushort))
        {
            UInt4 w = Global.LoadConstant16(weight + k);
            sums.A = Dot(w, Global.Load16(x0 + k), sums.A);
            sums.B = Dot(w, Global.Load16(x1 + k), sums.B);
            sums.C = Dot(w, Global.Load16(x2 + k), sums.C);
            sums.D = Dot(w, Global.Load16(x3 + k), sums.D);
        }
        return sums;
    }

    private static float Dot(UInt4 w, UInt4 x, float sum) => Dot(w.D, x.D, Dot(w.C, x.C, Dot(w.B, x.B, Dot(w.A, x.A, sum))));

    private static float Dot(uint w, uint x, float sum) =>
        Float32.Fma(Halves.High(w), Halves.High(x), Float32.Fma(Halves.Low(w), Halves.Low(x), sum));
}
