using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>f16 scale d, 32 fifth bits, 16 bytes of nibbles: weight <c>d * (q - 16)</c> for the five-bit q.</summary>
internal readonly unsafe struct Q5_0Format : IBlockFormat<Q5_0Format>
{
    public static TensorType Type => TensorType.Q5_0;

    public static int BlockLength => 32;

    public static int BlockBytes => 22;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scale = Vector512.Create(HalfTable.Load(block));
        uint fifthBits = Unsafe.ReadUnaligned<uint>(block + 2);
        return NibbleBlock.ForEachFiveBit<TOperation>(accumulator, block + 6, fifthBits, scale, scale * -16f, elements);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ForEach<TOperation>(Vector256<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector256<float> scale = Vector256.Create(HalfTable.Load(block));
        uint fifthBits = Unsafe.ReadUnaligned<uint>(block + 2);
        return NibbleBlock.ForEachFiveBit<TOperation>(accumulator, block + 6, fifthBits, scale, scale * -16f, elements);
    }
}
