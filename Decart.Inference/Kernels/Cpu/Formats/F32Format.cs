using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>IEEE 754 binary32, used as it is.</summary>
internal readonly unsafe struct F32Format : IWeightFormat
{
    public static TensorType Type => TensorType.F32;

    public static int BlockLength => 16;

    public static int BlockBytes => 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode(byte* block, float* destination) => Vector512.Store(Vector512.Load((float*)block), destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> accumulator, byte* block, float* x) =>
        Vector512.FusedMultiplyAdd(Vector512.Load((float*)block), Vector512.Load(x), accumulator);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> accumulator, byte* block, float* x)
    {
        accumulator = Vector256.FusedMultiplyAdd(Vector256.Load((float*)block), Vector256.Load(x), accumulator);
        return Vector256.FusedMultiplyAdd(Vector256.Load((float*)block + 8), Vector256.Load(x + 8), accumulator);
    }
}
