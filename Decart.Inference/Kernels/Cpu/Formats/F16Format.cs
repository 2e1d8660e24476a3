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
internal readonly unsafe struct F16Format : IWeightFormat
{
    private const int SignAndMagnitude = unchecked((int)0x8FFF_E000);
    private const float Rebias = 5.1922969e33f; // 2^112
    private const float BeyondFinite = 65536;

    public static TensorType Type => TensorType.F16;

    public static int BlockLength => 16;

    public static int BlockBytes => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* block, float* destination)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512.Store(Widen(Vector256.Load((short*)block)), destination);
            return;
        }
        Vector256.Store(Widen(Vector128.Load((short*)block)), destination);
        Vector256.Store(Widen(Vector128.Load((short*)block + 8)), destination + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> accumulator, byte* block, float* x) =>
        Vector512.FusedMultiplyAdd(Widen(Vector256.Load((short*)block)), Vector512.Load(x), accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> accumulator, byte* block, float* x)
    {
        accumulator = Vector256.FusedMultiplyAdd(Widen(Vector128.Load((short*)block)), Vector256.Load(x), accumulator);
        return Vector256.FusedMultiplyAdd(Widen(Vector128.Load((short*)block + 8)), Vector256.Load(x + 8), accumulator);
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
    private static Vector256<float> Widen(Vector128<short> values)
    {
        Vector256<int> moved = (Vector256.WidenLower(values.ToVector256Unsafe()) << 13) & Vector256.Create(SignAndMagnitude);
        Vector256<float> value = moved.AsSingle() * Vector256.Create(Rebias);
        Vector256<float> special = Vector256.GreaterThanOrEqual(Vector256.Abs(value), Vector256.Create(BeyondFinite));
        return value | (special & Vector256.Create(float.PositiveInfinity));
    }
}
