using Decart.Inference.Kernels.Gpu.Intrinsics;
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

    /// <summary>1: y, an operand, becomes norm(x) as halves, up to the stride; 0: y, float32, becomes y + norm(x).</summary>
    public int HalfY;
}

/// <summary>
/// norm(x) = (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) * scale + bias, the mean taken as 0 in an RMSNorm: one group a row. What follows from a
/// row is public, for kernels that normalise by the way; the sums' order belongs to <see cref="GroupSize"/> threads.
/// </summary>
internal static class GpuNorm
{
    public const int GroupSize = 128;

    /// <summary>Elements that a thread takes at once.</summary>
    private const int Vector = 4;

    public static readonly GpuKernel<NormArguments> Kernel = new(Run, GroupSize);

    /// <summary>The calling thread's share of the sum of a row.</summary>
    public static float PartialSum(long x, int columns)
    {
        float sum = 0;
        for (int i = Group.IdxX * Vector; i < columns; i += Group.DimX * Vector)
        {
            Float4 value = Global.LoadFloat4(x + (i * sizeof(float)));
            sum += value.A;
            sum += value.B;
            sum += value.C;
            sum += value.D;
        }
        return sum;
    }

    /// <summary>The calling thread's share of the sum of (x - mean)^2 of a row.</summary>
    public static float PartialSquares(long x, int columns, float mean)
    {
        float squares = 0;
        for (int i = Group.IdxX * Vector; i < columns; i += Group.DimX * Vector)
        {
            Float4 value = Global.LoadFloat4(x + (i * sizeof(float)));
            squares = AddSquare(squares, value.A - mean, i < columns);
            squares = AddSquare(squares, value.B - mean, i + 1 < columns);
            squares = AddSquare(squares, value.C - mean, i + 2 < columns);
            squares = AddSquare(squares, value.D - mean, i + 3 < columns);
        }
        return squares;
    }

    /// <summary>What differences from the mean are multiplied with.</summary>
    public static float Factor(float squares, int columns, float epsilon) => 1 / MathF.Sqrt((squares / columns) + epsilon);

    /// <summary>One element.</summary>
    /// <param name="x">The element of the row.</param>
    /// <param name="mean">See above.</param>
    /// <param name="factor">See <see cref="Factor"/>.</param>
    /// <param name="scale">The element of the scale.</param>
    /// <param name="bias">Address of the element of the bias; not used when <paramref name="hasBias"/> is false.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    public static float Apply(float x, float mean, float factor, float scale, long bias, bool hasBias)
    {
        float value = (x - mean) * factor * scale;
        return hasBias ? value + Global.LoadFloat(bias) : value;
    }

    private static float AddSquare(float squares, float difference, bool counts) => counts ? Float32.Fma(difference, difference, squares) : squares;

    private static void Run(NormArguments a)
    {
        int row = Grid.IdxX;
        if (row >= Global.LoadInt(a.Count)) return;
        int source = a.Order != 0 ? Global.LoadInt(a.Order + (row * sizeof(int))) : row;
        long x = a.X + ((long)source * a.XStride * sizeof(float));
        float mean = 0;
        if (a.RemoveMean != 0) mean = Reduce.GroupSum(PartialSum(x, a.Columns)) / a.Columns;
        float factor = Factor(Reduce.GroupSum(PartialSquares(x, a.Columns, mean)), a.Columns, a.Epsilon);
        int end = a.HalfY != 0 ? a.YStride : a.Columns;
        for (int i = Group.IdxX; i < end; i += Group.DimX)
        {
            long offset = (long)i * sizeof(float);
            float value = Apply(Global.LoadFloat(x + offset), mean, factor, Global.LoadFloat(a.Scale + offset), a.Bias + offset, a.Bias != 0);
            long index = ((long)row * a.YStride) + i;
            if (a.HalfY != 0) Global.Store2(a.Y + (index * sizeof(ushort)), Halves.Saturate(value));
            else Global.StoreFloat(a.Y + (index * sizeof(float)), Global.LoadFloat(a.Y + (index * sizeof(float))) + value);
        }
    }
}
