using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>f16 scale d, f16 minimum m, 16 bytes of nibbles q: weight <c>d * q + m</c>.</summary>
internal readonly unsafe struct Q4_1Format : IBlockFormat<Q4_1Format>
{
    public static TensorType Type => TensorType.Q4_1;

    public static int BlockLength => 32;

    public static int BlockBytes => 20;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scale = Vector512.Create(HalfTable.Load(block)), minimum = Vector512.Create(HalfTable.Load(block + 2));
        return NibbleBlock.ForEach<TOperation>(accumulator, block + 4, scale, minimum, elements);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats scale = TFloats.Create(HalfTable.Load(block)), minimum = TFloats.Create(HalfTable.Load(block + 2));
        return NibbleBlock.ForEach<TOperation, TFloats, TIntegers>(accumulator, block + 4, scale, minimum, elements);
    }
}
