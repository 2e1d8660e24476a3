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
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats scale = TFloats.Create(HalfTable.Load(block));
        return NibbleBlock.ForEach<TOperation, TFloats, TIntegers>(accumulator, block + 2, scale, scale * TFloats.Create(-8f), elements);
    }
}
