using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>What becomes of a panel's 8 sums for one row of x: <see cref="Epilogue"/> with its addresses, fused into the store.</summary>
internal unsafe struct MatMulEpilogue
{
    /// <summary>Sums that <see cref="Store"/> takes.</summary>
    public const int Sums = 8;

    /// <summary>One for each weight row, or null.</summary>
    public float* Bias;

    public ActivationFunction Function;

    /// <summary>The first four sums are gates, the others their ups.</summary>
    public bool Gated;

    public float SoftCap;

    public bool Accumulate;

    public float* Y;

    public long YStride;

    /// <summary>Columns of y: the weight's rows, or half of them when gated.</summary>
    public int Columns;

    /// <summary>Columns that one panel yields.</summary>
    public readonly int PanelColumns => Gated ? Sums / 2 : Sums;

    /// <summary>Stores the columns from <paramref name="column"/> on, at most <see cref="PanelColumns"/> and none past the last.</summary>
    /// <remarks>All arithmetic is by lane, so an element's result does not depend on where in a panel it lies.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(Vector256<float> sums, int row, int column)
    {
        float* y = Y + (row * YStride) + column;
        if (column + PanelColumns <= Columns)
        {
            Apply(sums, Bias == null ? null : Bias + column, y);
            return;
        }
        StorePartial(sums, column, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void StorePartial(Vector256<float> sums, int column, float* y)
    {
        int count = Columns - column;
        float* bias = stackalloc float[Sums];
        float* results = stackalloc float[Sums];
        new Span<float>(bias, Sums).Clear();
        new ReadOnlySpan<float>(y, count).CopyTo(new Span<float>(results, count));
        if (Bias != null)
        {
            new ReadOnlySpan<float>(Bias + column, count).CopyTo(new Span<float>(bias, count));
            if (Gated) new ReadOnlySpan<float>(Bias + Columns + column, count).CopyTo(new Span<float>(bias + (Sums / 2), count));
            sums += Vector256.Load(bias);
        }
        Apply(sums, null, results);
        new ReadOnlySpan<float>(results, count).CopyTo(new Span<float>(y, count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void Apply(Vector256<float> v, float* bias, float* y)
    {
        if (bias != null) v += Gated ? Vector256.Create(Vector128.Load(bias), Vector128.Load(bias + Columns)) : Vector256.Load(bias);
        if (Function != ActivationFunction.None || Gated || SoftCap != 0) v = Transform(v);
        if (Gated)
        {
            Vector128<float> half = v.GetLower();
            Vector128.Store(Accumulate ? Vector128.Load(y) + half : half, y);
            return;
        }
        Vector256.Store(Accumulate ? Vector256.Load(y) + v : v, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly Vector256<float> Transform(Vector256<float> v)
    {
        Vector256<float> f = Function switch
        {
            ActivationFunction.Silu => MatMulFunctions.Silu(v),
            ActivationFunction.Gelu => MatMulFunctions.Gelu(v),
            ActivationFunction.GeluTanh => MatMulFunctions.GeluTanh(v),
            _ => v,
        };
        if (Gated) f *= Vector256.Create(v.GetUpper(), v.GetUpper());
        return SoftCap == 0 ? f : Vector256.Create(SoftCap) * MatMulFunctions.Tanh(f / Vector256.Create(SoftCap));
    }
}
