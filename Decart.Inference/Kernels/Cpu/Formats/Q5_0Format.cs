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
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats scale = TFloats.Create(HalfTable.Load(block));
        uint fifthBits = Unsafe.ReadUnaligned<uint>(block + 2);
        return NibbleBlock.ForEachFiveBit<TOperation, TFloats, TIntegers>(accumulator, block + 6, fifthBits, scale, scale * TFloats.Create(-16f), elements);
    }
}
