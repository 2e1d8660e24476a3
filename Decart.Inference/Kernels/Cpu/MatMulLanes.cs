using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>The width of the accumulators of a matmul.</summary>
internal enum MatMulPath
{
    /// <summary>One lane, for machines without vectors that .NET knows.</summary>
    Scalar,
    /// <summary>8 lanes; where the machine has 128-bit vectors only, .NET makes two of one.</summary>
    Vector256,
    /// <summary>16 lanes.</summary>
    Vector512,
}

/// <summary>Arithmetic on one accumulator, so that kernels are written once for all widths.</summary>
/// <remarks>Vectors are loaded and stored through pointers to <typeparamref name="TVector"/>; lane i lies at element i.</remarks>
internal unsafe interface IMatMulLanes<TVector>
    where TVector : unmanaged
{
    static abstract MatMulPath Path { get; }

    /// <summary>accumulator + weight * x, rounded once.</summary>
    static abstract TVector MultiplyAdd(TVector accumulator, TVector weight, TVector x);

    /// <inheritdoc cref="IWeightFormat.MultiplyAdd(Vector512{float}, byte*, float*)"/>
    static abstract TVector MultiplyAdd<TFormat>(TVector accumulator, byte* block, float* x)
        where TFormat : IWeightFormat;

    /// <summary>The sum of all lanes: upper half onto lower half, again and again.</summary>
    static abstract float Sum(TVector accumulator);
}

internal readonly unsafe struct Lanes512 : IMatMulLanes<Vector512<float>>
{
    public static MatMulPath Path => MatMulPath.Vector512;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> accumulator, Vector512<float> weight, Vector512<float> x) =>
        Vector512.FusedMultiplyAdd(weight, x, accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd<TFormat>(Vector512<float> accumulator, byte* block, float* x)
        where TFormat : IWeightFormat => TFormat.MultiplyAdd(accumulator, block, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> accumulator) => Lanes256.Sum(accumulator.GetLower() + accumulator.GetUpper());
}

internal readonly unsafe struct Lanes256 : IMatMulLanes<Vector256<float>>
{
    public static MatMulPath Path => MatMulPath.Vector256;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> accumulator, Vector256<float> weight, Vector256<float> x) =>
        Vector256.FusedMultiplyAdd(weight, x, accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd<TFormat>(Vector256<float> accumulator, byte* block, float* x)
        where TFormat : IWeightFormat => TFormat.MultiplyAdd(accumulator, block, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> accumulator)
    {
        Vector128<float> sum = accumulator.GetLower() + accumulator.GetUpper();
        sum += Vector128.Shuffle(sum, Vector128.Create(2, 3, 0, 1));
        return sum[0] + sum[1];
    }
}

internal readonly unsafe struct Lanes1 : IMatMulLanes<float>
{
    /// <summary>The longest block of any format.</summary>
    private const int LongestBlock = 256;

    public static MatMulPath Path => MatMulPath.Scalar;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MultiplyAdd(float accumulator, float weight, float x) => MathF.FusedMultiplyAdd(weight, x, accumulator);

    [SkipLocalsInit]
    public static float MultiplyAdd<TFormat>(float accumulator, byte* block, float* x)
        where TFormat : IWeightFormat
    {
        float* weights = stackalloc float[LongestBlock];
        TFormat.Decode(block, weights);
        for (int i = 0; i < TFormat.BlockLength; i++) accumulator = MultiplyAdd(accumulator, weights[i], x[i]);
        return accumulator;
    }

    public static float Sum(float accumulator) => accumulator;
}
