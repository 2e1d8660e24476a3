using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>f16 scale d, f16 minimum m, 32 fifth bits, 16 bytes of nibbles: weight <c>d * q + m</c> for the five-bit q.</summary>
internal readonly unsafe struct Q5_1Format : IBlockFormat<Q5_1Format>
{
    public static TensorType Type => TensorType.Q5_1;

    public static int BlockLength => 32;

    public static int BlockBytes => 24;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        uint fifthBits = Unsafe.ReadUnaligned<uint>(block + 4);
        Vector512<float> scale = Vector512.Create(HalfTable.Load(block)), minimum = Vector512.Create(HalfTable.Load(block + 2));
        return NibbleBlock.ForEachFiveBit<TOperation>(accumulator, block + 8, fifthBits, scale, minimum, elements);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        uint fifthBits = Unsafe.ReadUnaligned<uint>(block + 4);
        TFloats scale = TFloats.Create(HalfTable.Load(block)), minimum = TFloats.Create(HalfTable.Load(block + 2));
        return NibbleBlock.ForEachFiveBit<TOperation, TFloats, TIntegers>(accumulator, block + 8, fifthBits, scale, minimum, elements);
    }
}
