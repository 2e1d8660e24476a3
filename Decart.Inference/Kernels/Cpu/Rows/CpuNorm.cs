using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>A <see cref="Norm"/> as the threads see it.</summary>
internal readonly unsafe struct CpuNorm(Norm norm)
{
    private readonly float* _scale = ((CpuWeightVector)norm.Scale).Pointer;
    private readonly float* _bias = norm.Bias is null ? null : ((CpuWeightVector)norm.Bias).Pointer;
    private readonly float _epsilon = norm.Epsilon;
    private readonly bool _removeMean = norm.RemoveMean;

    /// <summary>
    /// y = (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) * scale + bias, the mean taken as 0 in an RMSNorm (Zhang and
    /// Sennrich, 2019); with <paramref name="add"/> that is added to y. x and y may be the same.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Apply<TLanes>(float* x, int columns, bool add, float* y)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        float mean = _removeMean ? Sum<TLanes>(x, columns) / columns : 0;
        float factor = 1 / MathF.Sqrt((SumOfSquares<TLanes>(x, mean, columns) / columns) + _epsilon);
        TLanes means = TLanes.Create(mean), factors = TLanes.Create(factor), zero = TLanes.Create(0);
        int i = 0;
        for (; i <= columns - TLanes.Count; i += TLanes.Count)
        {
            TLanes value = (TLanes.Load(x + i) - means) * factors * TLanes.Load(_scale + i);
            value += _bias == null ? zero : TLanes.Load(_bias + i);
            (add ? TLanes.Load(y + i) + value : value).Store(y + i);
        }
        for (; i < columns; i++)
        {
            float value = ((x[i] - mean) * factor * _scale[i]) + (_bias == null ? 0 : _bias[i]);
            y[i] = add ? y[i] + value : value;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Sum<TLanes>(float* x, int columns)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes sums = TLanes.Create(0);
        int i = 0;
        for (; i <= columns - TLanes.Count; i += TLanes.Count) sums += TLanes.Load(x + i);
        float sum = TLanes.Sum(sums);
        for (; i < columns; i++) sum += x[i];
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float SumOfSquares<TLanes>(float* x, float mean, int columns)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        TLanes means = TLanes.Create(mean), even = TLanes.Create(0), odd = even;
        int i = 0;
        for (; i <= columns - (2 * TLanes.Count); i += 2 * TLanes.Count)
        {
            TLanes first = TLanes.Load(x + i) - means, second = TLanes.Load(x + i + TLanes.Count) - means;
            even = TLanes.MultiplyAdd(first, first, even);
            odd = TLanes.MultiplyAdd(second, second, odd);
        }
        float sum = TLanes.Sum(even + odd);
        for (; i < columns; i++) sum += (x[i] - mean) * (x[i] - mean);
        return sum;
    }
}

/// <summary>Normalises a share of rows: y[i] = norm(x[i]), or y[i] += norm(x[i]); of x the rows that an order lists, when there is one.</summary>
internal readonly unsafe struct NormaliseJob(CpuNorm norm, CpuActivations x, int* order, CpuRows y, bool add, int rows, int parts, SimdWidth width)
    : ITeamJob
{
    private readonly float* _x = x.Pointer;
    private readonly int* _order = order;
    private readonly float* _y = y.Pointer;
    private readonly int _xStride = x.Stride, _yStride = y.Stride, _columns = x.Columns;

    public void Run(int part)
    {
        switch (width)
        {
            case SimdWidth.Vector512: Run<Float32x16>(part); break;
            case SimdWidth.Vector256: Run<Float32x8>(part); break;
            case SimdWidth.Vector128: Run<Float32x4>(part); break;
            default: Run<Float32x1>(part); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Run<TLanes>(int part)
        where TLanes : unmanaged, ILanes<TLanes>
    {
        long end = (long)rows * (part + 1) / parts;
        for (long row = (long)rows * part / parts; row < end; row++)
        {
            long source = _order == null ? row : _order[row];
            norm.Apply<TLanes>(_x + (source * _xStride), _columns, add, _y + (row * _yStride));
        }
    }
}
