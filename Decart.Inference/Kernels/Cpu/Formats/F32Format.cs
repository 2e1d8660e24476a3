using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>IEEE 754 binary32, used as it is.</summary>
internal readonly unsafe struct F32Format : IBlockFormat<F32Format>
{
    public static TensorType Type => TensorType.F32;

    public static int BlockLength => 16;

    public static int BlockBytes => 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation => TOperation.Apply(accumulator, Vector512.Load((float*)block), elements);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        for (int i = 0; i < 16; i += TFloats.Count) accumulator = TOperation.Apply(accumulator, TFloats.Load((float*)block + i), elements + i);
        return accumulator;
    }
}
