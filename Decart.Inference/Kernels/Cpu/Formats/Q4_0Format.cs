using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>f16 scale d, 16 bytes of nibbles q: weight <c>d * (q - 8)</c>.</summary>
internal readonly unsafe struct Q4_0Format : IBlockFormat<Q4_0Format>
{
    public static TensorType Type => TensorType.Q4_0;

    public static int BlockLength => 32;

    public static int BlockBytes => 18;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scale = Vector512.Create(HalfTable.Load(block));
        return NibbleBlock.ForEach<TOperation>(accumulator, block + 2, scale, scale * -8f, elements);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ForEach<TOperation>(Vector256<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector256<float> scale = Vector256.Create(HalfTable.Load(block));
        return NibbleBlock.ForEach<TOperation>(accumulator, block + 2, scale, scale * -8f, elements);
    }
}
