using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Arithmetic on one accumulator, so that kernels are written once for all widths.</summary>
/// <remarks>Vectors are loaded and stored through pointers to <typeparamref name="TVector"/>; lane i lies at element i.</remarks>
internal unsafe interface IMatMulLanes<TVector>
    where TVector : unmanaged
{
    static abstract SimdWidth Width { get; }

    /// <summary>accumulator + weight * x, rounded once where the processor can.</summary>
    static abstract TVector MultiplyAdd(TVector accumulator, TVector weight, TVector x);

    /// <inheritdoc cref="IWeightFormat.MultiplyAdd(Vector512{float}, byte*, float*)"/>
    static abstract TVector MultiplyAdd<TFormat>(TVector accumulator, byte* block, float* x)
        where TFormat : IWeightFormat;

    /// <summary>
    /// The sums of the lanes of 8 accumulators: upper halves onto lower halves until 4 lanes are left, then (0 + 1) + (2 + 3).
    /// </summary>
    static abstract Vector256<float> Sum(TVector* accumulators);
}

internal readonly unsafe struct Lanes512 : IMatMulLanes<Vector512<float>>
{
    public static SimdWidth Width => SimdWidth.Vector512;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> accumulator, Vector512<float> weight, Vector512<float> x) =>
        Vector512.FusedMultiplyAdd(weight, x, accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd<TFormat>(Vector512<float> accumulator, byte* block, float* x)
        where TFormat : IWeightFormat => TFormat.MultiplyAdd(accumulator, block, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sum(Vector512<float>* a) =>
        Lanes256.Sum(Halve(a[0]), Halve(a[1]), Halve(a[2]), Halve(a[3]), Halve(a[4]), Halve(a[5]), Halve(a[6]), Halve(a[7]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Halve(Vector512<float> accumulator) => accumulator.GetLower() + accumulator.GetUpper();
}

internal readonly unsafe struct Lanes256 : IMatMulLanes<Vector256<float>>
{
    public static SimdWidth Width => SimdWidth.Vector256;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> accumulator, Vector256<float> weight, Vector256<float> x) =>
        Vector256.MultiplyAddEstimate(weight, x, accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd<TFormat>(Vector256<float> accumulator, byte* block, float* x)
        where TFormat : IWeightFormat => TFormat.MultiplyAdd(accumulator, block, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sum(Vector256<float>* a) => Sum(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sum(
        Vector256<float> a0, Vector256<float> a1, Vector256<float> a2, Vector256<float> a3,
        Vector256<float> a4, Vector256<float> a5, Vector256<float> a6, Vector256<float> a7)
    {
        if (Avx.IsSupported)
        {
            Vector256<float> pairs01 = Avx.HorizontalAdd(Halve(a0, a4), Halve(a1, a5));
            Vector256<float> pairs23 = Avx.HorizontalAdd(Halve(a2, a6), Halve(a3, a7));
            return Avx.HorizontalAdd(pairs01, pairs23);
        }
        return Vector256.Create(
            Vector128.Create(Sum(a0), Sum(a1), Sum(a2), Sum(a3)),
            Vector128.Create(Sum(a4), Sum(a5), Sum(a6), Sum(a7)));
    }

    /// <summary>The halved <paramref name="first"/> in the lower half, the halved <paramref name="second"/> in the upper.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Halve(Vector256<float> first, Vector256<float> second) =>
        Avx.Permute2x128(first, second, 0x20) + Avx.Permute2x128(first, second, 0x31);

    private static float Sum(Vector256<float> accumulator)
    {
        Vector128<float> half = accumulator.GetLower() + accumulator.GetUpper();
        return half[0] + half[1] + (half[2] + half[3]);
    }
}

internal readonly unsafe struct Lanes128 : IMatMulLanes<Vector128<float>>
{
    public static SimdWidth Width => SimdWidth.Vector128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd(Vector128<float> accumulator, Vector128<float> weight, Vector128<float> x) =>
        Vector128.MultiplyAddEstimate(weight, x, accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> MultiplyAdd<TFormat>(Vector128<float> accumulator, byte* block, float* x)
        where TFormat : IWeightFormat => TFormat.MultiplyAdd(accumulator, block, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sum(Vector128<float>* a) => Vector256.Create(
        AddPairs(AddPairs(a[0], a[1]), AddPairs(a[2], a[3])),
        AddPairs(AddPairs(a[4], a[5]), AddPairs(a[6], a[7])));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> AddPairs(Vector128<float> first, Vector128<float> second)
    {
        if (Sse3.IsSupported) return Sse3.HorizontalAdd(first, second);
        if (AdvSimd.Arm64.IsSupported) return AdvSimd.Arm64.AddPairwise(first, second);
        return Vector128.Create(first[0] + first[1], first[2] + first[3], second[0] + second[1], second[2] + second[3]);
    }
}

internal readonly unsafe struct Lanes1 : IMatMulLanes<float>
{
    /// <summary>The longest block of any format.</summary>
    private const int LongestBlock = 256;

    public static SimdWidth Width => SimdWidth.Scalar;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MultiplyAdd(float accumulator, float weight, float x) => float.MultiplyAddEstimate(weight, x, accumulator);

    [SkipLocalsInit]
    public static float MultiplyAdd<TFormat>(float accumulator, byte* block, float* x)
        where TFormat : IWeightFormat
    {
        float* weights = stackalloc float[LongestBlock];
        TFormat.Decode(block, weights);
        for (int i = 0; i < TFormat.BlockLength; i++) accumulator = MultiplyAdd(accumulator, weights[i], x[i]);
        return accumulator;
    }

    public static Vector256<float> Sum(float* accumulators) => Vector256.Load(accumulators);
}
