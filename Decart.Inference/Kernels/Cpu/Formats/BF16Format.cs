using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>bfloat16: the upper half of a binary32, widened by a shift; every value is kept.</summary>
internal readonly unsafe struct BF16Format : IBlockFormat<BF16Format>
{
    public static TensorType Type => TensorType.BF16;

    public static int BlockLength => 16;

    public static int BlockBytes => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation => TOperation.Apply(accumulator, Widen(Vector256.Load((ushort*)block)), elements);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        for (int i = 0; i < 16; i += TFloats.Count) accumulator = TOperation.Apply(accumulator, Widen<TFloats, TIntegers>((short*)block + i), elements + i);
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(Vector256<ushort> values) => (Vector512.WidenLower(values.ToVector512Unsafe()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Widen<TFloats, TIntegers>(short* values)
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats> => TIntegers.AsSingle(TIntegers.Widen(values) << 16);
}
