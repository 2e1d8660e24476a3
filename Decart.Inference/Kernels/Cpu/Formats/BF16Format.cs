using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>bfloat16: the upper half of a binary32, widened by a shift; every value is kept.</summary>
internal readonly unsafe struct BF16Format : IWeightFormat
{
    public static TensorType Type => TensorType.BF16;

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
    private static Vector512<float> Widen(Vector256<ushort> values) => (Vector512.WidenLower(values.ToVector512Unsafe()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widen(Vector128<ushort> values) => (Vector256.WidenLower(values.ToVector256Unsafe()) << 16).AsSingle();
}
