using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>IEEE 754 binary16; every value is kept, subnormal numbers, infinities and NaN included.</summary>
/// <remarks>
/// .NET has no conversion instruction for it, so bits are moved: sign, exponent and mantissa shift into their binary32 places, and a
/// product with 2^112, exact for subnormal numbers too, corrects the exponent's bias. Exponent 31 becomes 2^16 and more, which no
/// finite number reaches: there all exponent bits are set.
/// </remarks>
internal readonly unsafe struct F16Format : IBlockFormat<F16Format>
{
    private const int SignAndMagnitude = unchecked((int)0x8FFF_E000);
    private const float Rebias = 5.1922969e33f; // 2^112
    private const float BeyondFinite = 65536;

    public static TensorType Type => TensorType.F16;

    public static int BlockLength => 16;

    public static int BlockBytes => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation => TOperation.Apply(accumulator, Widen(Vector256.Load((short*)block)), elements);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        for (int i = 0; i < 16; i += TFloats.Count)
            accumulator = TOperation.Apply(accumulator, Widen<TFloats, TIntegers>((short*)block + i), elements + i);
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector256<short> values)
    {
        Vector512<int> moved = (Vector512.WidenLower(values.ToVector512Unsafe()) << 13) & Vector512.Create(SignAndMagnitude);
        Vector512<float> value = moved.AsSingle() * Vector512.Create(Rebias);
        Vector512<float> special = Vector512.GreaterThanOrEqual(Vector512.Abs(value), Vector512.Create(BeyondFinite));
        return value | (special & Vector512.Create(float.PositiveInfinity));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Widen<TFloats, TIntegers>(short* values)
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TIntegers moved = (TIntegers.Widen(values) << 13) & TIntegers.Create(SignAndMagnitude);
        TFloats value = TIntegers.AsSingle(moved) * TFloats.Create(Rebias);
        TFloats magnitude = TIntegers.AsSingle(TIntegers.BitsOf(value) & TIntegers.Create(int.MaxValue));
        TFloats special = TFloats.ClearBelow(magnitude, TFloats.Create(BeyondFinite), TFloats.Create(float.PositiveInfinity));
        return TIntegers.AsSingle(TIntegers.BitsOf(value) | TIntegers.BitsOf(special));
    }
}
