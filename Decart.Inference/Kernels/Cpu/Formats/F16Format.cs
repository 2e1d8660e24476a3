using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>IEEE 754 binary16; every value is kept, subnormal numbers, infinities and NaN included.</summary>
/// <remarks>
/// .NET has no conversion instruction for it, so bits are moved: exponent and mantissa shift into their binary32 places and the
/// exponent's bias grows by 112. Exponent 31 needs 112 more. Exponent 0 is read as 2^-14 * (1 + mantissa), from which 2^-14 is
/// taken, so that no arithmetic meets a subnormal binary32 (slow on many processors).
/// </remarks>
internal readonly unsafe struct F16Format : IWeightFormat
{
    private const uint BiasDifference = 112u << 23;
    private const uint ExponentOne = 1u << 23;
    private const uint Exponent31 = 31u << 23;
    private const float SmallestNormal = 1f / 16384;

    public static TensorType Type => TensorType.F16;

    public static int BlockLength => 16;

    public static int BlockBytes => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* block, float* destination)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512.Store(Widen(Vector256.Load((ushort*)block)), destination);
            return;
        }
        Vector256.Store(Widen(Vector128.Load((ushort*)block)), destination);
        Vector256.Store(Widen(Vector128.Load((ushort*)block + 8)), destination + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> accumulator, byte* block, float* x) =>
        Vector512.FusedMultiplyAdd(Widen(Vector256.Load((ushort*)block)), Vector512.Load(x), accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> accumulator, byte* block, float* x)
    {
        accumulator = Vector256.FusedMultiplyAdd(Widen(Vector128.Load((ushort*)block)), Vector256.Load(x), accumulator);
        return Vector256.FusedMultiplyAdd(Widen(Vector128.Load((ushort*)block + 8)), Vector256.Load(x + 8), accumulator);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector256<ushort> values)
    {
        Vector512<uint> bits = Vector512.WidenLower(values.ToVector512Unsafe());
        Vector512<uint> magnitude = (bits & Vector512.Create(0x7FFFu)) << 13;
        Vector512<uint> subnormal = Vector512.LessThan(magnitude, Vector512.Create(ExponentOne));
        Vector512<uint> special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(Exponent31));
        Vector512<uint> moved = magnitude + Vector512.Create(BiasDifference)
            + (subnormal & Vector512.Create(ExponentOne)) + (special & Vector512.Create(BiasDifference));
        Vector512<float> value = moved.AsSingle() - (subnormal.AsSingle() & Vector512.Create(SmallestNormal));
        return value | ((bits & Vector512.Create(0x8000u)) << 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widen(Vector128<ushort> values)
    {
        Vector256<uint> bits = Vector256.WidenLower(values.ToVector256Unsafe());
        Vector256<uint> magnitude = (bits & Vector256.Create(0x7FFFu)) << 13;
        Vector256<uint> subnormal = Vector256.LessThan(magnitude, Vector256.Create(ExponentOne));
        Vector256<uint> special = Vector256.GreaterThanOrEqual(magnitude, Vector256.Create(Exponent31));
        Vector256<uint> moved = magnitude + Vector256.Create(BiasDifference)
            + (subnormal & Vector256.Create(ExponentOne)) + (special & Vector256.Create(BiasDifference));
        Vector256<float> value = moved.AsSingle() - (subnormal.AsSingle() & Vector256.Create(SmallestNormal));
        return value | ((bits & Vector256.Create(0x8000u)) << 16).AsSingle();
    }
}
