using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Strides count elements. Rows and vectors are padded with zeros to a multiple of 64 elements.</summary>
internal struct NormArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>Address of the rows of x to take (int), or 0 for all in order.</summary>
    public long Order;

    public long X, Scale;

    /// <summary>0 for none.</summary>
    public long Bias;

    public long Y;
    public int XStride, YStride, Columns;
    public float Epsilon;
    public int RemoveMean;

    /// <summary>Rows of a block of y when that is an operand, which becomes norm(x), up to the stride; 0: y, float32, becomes y + norm(x).</summary>
    public int YBlockRows;
}

/// <summary>
/// norm(x) = (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) * scale + bias, the mean taken as 0 in an RMSNorm: one group a row.
/// </summary>
internal static class GpuNorm
{
    public static readonly GpuKernel<NormArguments> Kernel = new(Run, GroupSize);

    /// <summary>The same, started early.</summary>
    public static readonly GpuKernel<NormArguments> EarlyKernel = new(RunEarly, GroupSize) { MinArchitecture = 90, StartsEarly = true };

    private const int GroupSize = 256;

    /// <summary>Elements that a thread takes at once: a row of a core matrix.</summary>
    private const int Vector = 8;

    private static void RunEarly(NormArguments a)
    {
        GridDependency.LaunchDependents();
        GridDependency.Wait();
        Run(a);
    }

    private static void Run(NormArguments a)
    {
        int row = Grid.IdxX;
        if (row >= Global.LoadInt(a.Count)) return;
        int source = a.Order != 0 ? Global.LoadInt(a.Order + (row * sizeof(int))) : row;
        long x = a.X + ((long)source * a.XStride * sizeof(float));
        float mean = 0;
        if (a.RemoveMean != 0) mean = Reduce.GroupSum(PartialSum(x, a.Columns)) / a.Columns;
        float factor = 1 / MathF.Sqrt((Reduce.GroupSum(PartialSquares(x, a.Columns, mean)) / a.Columns) + a.Epsilon);
        for (int i = Group.IdxX * Vector; i < a.Columns; i += Group.DimX * Vector)
        {
            Float4 first = Apply(a, x, i, mean, factor), second = Apply(a, x, i + 4, mean, factor);
            if (a.YBlockRows != 0) StoreOperand(a, row, i, first, second);
            else Add(a, row, i, first, second);
        }
        if (a.YBlockRows == 0) return;
        for (int i = ((a.Columns + Vector - 1) / Vector * Vector) + (Group.IdxX * Vector); i < a.YStride; i += Group.DimX * Vector)
            StoreOperand(a, row, i, default, default);
    }

    /// <summary>The calling thread's share of the sum of a row.</summary>
    private static float PartialSum(long x, int columns)
    {
        float sum = 0;
        for (int i = Group.IdxX * Vector; i < columns; i += Group.DimX * Vector)
        {
            Float4 first = Global.LoadFloat4(x + (i * sizeof(float))), second = Global.LoadFloat4(x + ((i + 4) * sizeof(float)));
            sum += first.A + first.B + (first.C + first.D) + (second.A + second.B + (second.C + second.D));
        }
        return sum;
    }

    /// <summary>The calling thread's share of the sum of (x - mean)^2 of a row.</summary>
    private static float PartialSquares(long x, int columns, float mean)
    {
        float squares = 0;
        for (int i = Group.IdxX * Vector; i < columns; i += Group.DimX * Vector)
        {
            squares = AddSquares(squares, Global.LoadFloat4(x + (i * sizeof(float))), mean, columns - i);
            squares = AddSquares(squares, Global.LoadFloat4(x + ((i + 4) * sizeof(float))), mean, columns - i - 4);
        }
        return squares;
    }

    private static float AddSquares(float squares, Float4 value, float mean, int count)
    {
        squares = AddSquare(squares, value.A - mean, count > 0);
        squares = AddSquare(squares, value.B - mean, count > 1);
        squares = AddSquare(squares, value.C - mean, count > 2);
        return AddSquare(squares, value.D - mean, count > 3);
    }

    private static float AddSquare(float squares, float difference, bool counts) => counts ? Float32.Fma(difference, difference, squares) : squares;

    /// <summary>Four elements; where there are no more columns the scale, and so the result, is 0.</summary>
    private static Float4 Apply(NormArguments a, long x, int i, float mean, float factor)
    {
        long offset = (long)i * sizeof(float);
        Float4 value = Global.LoadFloat4(x + offset), scale = Global.LoadFloat4(a.Scale + offset), bias = default;
        if (a.Bias != 0) bias = Global.LoadFloat4(a.Bias + offset);
        return new Float4
        {
            A = ((value.A - mean) * factor * scale.A) + bias.A,
            B = ((value.B - mean) * factor * scale.B) + bias.B,
            C = ((value.C - mean) * factor * scale.C) + bias.C,
            D = ((value.D - mean) * factor * scale.D) + bias.D,
        };
    }

    private static void StoreOperand(NormArguments a, int row, int column, Float4 first, Float4 second)
    {
        UInt4 halves = new()
        {
            A = Halves.SaturatePair(first.A, first.B),
            B = Halves.SaturatePair(first.C, first.D),
            C = Halves.SaturatePair(second.A, second.B),
            D = Halves.SaturatePair(second.C, second.D),
        };
        Global.Store16(a.Y + CoreTiles.OperandOffset(row, column, a.YStride, a.YBlockRows), halves);
    }

    private static void Add(NormArguments a, int row, int column, Float4 first, Float4 second)
    {
        long y = a.Y + ((((long)row * a.YStride) + column) * sizeof(float));
        Global.StoreFloat4(y, Sum(Global.LoadFloat4(y), first));
        Global.StoreFloat4(y + (4 * sizeof(float)), Sum(Global.LoadFloat4(y + (4 * sizeof(float))), second));
    }

    private static Float4 Sum(Float4 a, Float4 b) => new() { A = a.A + b.A, B = a.B + b.B, C = a.C + b.C, D = a.D + b.D };
}
