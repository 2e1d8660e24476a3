using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Strides count elements.</summary>
internal struct NormArguments
{
    /// <summary>Inputs; <see cref="Delta"/> and <see cref="Bias"/> may be 0.</summary>
    public long X, Delta, Scale, Bias;

    public long Y;
    public int XStride, DeltaStride, YStride, Columns;
    public float Epsilon;
    public int RemoveMean;

    /// <summary>1: y, then float32, becomes y + norm(x).</summary>
    public int Add;

    /// <summary>1: y is an operand, stored as halves.</summary>
    public int HalfY;
}

/// <summary>
/// x += delta, when there is one; y = (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) * scale + bias, the mean taken as 0 in an RMSNorm: one group
/// a row.
/// </summary>
internal static class GpuNorm
{
    public static readonly GpuKernel<NormArguments> Kernel = new(Run, groupSize: 256);

    private static void Run(NormArguments a)
    {
        int row = Grid.IdxX;
        long x = a.X + ((long)row * a.XStride * sizeof(float)), delta = a.Delta + ((long)row * a.DeltaStride * sizeof(float));
        float sum = 0, squares = 0;
        for (int i = Group.IdxX; i < a.Columns; i += Group.DimX)
        {
            float value = Global.LoadFloat(x + (i * sizeof(float)));
            if (a.Delta != 0)
            {
                value += Global.LoadFloat(delta + (i * sizeof(float)));
                Global.StoreFloat(x + (i * sizeof(float)), value);
            }
            sum += value;
            squares = Float32.Fma(value, value, squares);
        }
        float mean = 0;
        if (a.RemoveMean != 0)
        {
            mean = Reduce.GroupSum(sum) / a.Columns;
            squares = 0;
            for (int i = Group.IdxX; i < a.Columns; i += Group.DimX)
            {
                float value = Global.LoadFloat(x + (i * sizeof(float))) - mean;
                squares = Float32.Fma(value, value, squares);
            }
        }
        float factor = 1 / MathF.Sqrt((Reduce.GroupSum(squares) / a.Columns) + a.Epsilon);
        for (int i = Group.IdxX; i < a.Columns; i += Group.DimX)
        {
            float value = (Global.LoadFloat(x + (i * sizeof(float))) - mean) * factor * Global.LoadFloat(a.Scale + (i * sizeof(float)));
            if (a.Bias != 0) value += Global.LoadFloat(a.Bias + (i * sizeof(float)));
            Store(a, ((long)row * a.YStride) + i, value);
        }
    }

    private static void Store(NormArguments a, long index, float value)
    {
        if (a.HalfY != 0)
        {
            Global.Store2(a.Y + (index * sizeof(ushort)), Halves.Saturate(value));
            return;
        }
        long address = a.Y + (index * sizeof(float));
        Global.StoreFloat(address, a.Add != 0 ? Global.LoadFloat(address) + value : value);
    }
}
