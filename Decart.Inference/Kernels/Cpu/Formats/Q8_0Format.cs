using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>f16 scale d, 32 signed bytes q: weight <c>d * q</c>.</summary>
internal readonly unsafe struct Q8_0Format : IBlockFormat<Q8_0Format>
{
    public static TensorType Type => TensorType.Q8_0;

    public static int BlockLength => 32;

    public static int BlockBytes => 34;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scale = Vector512.Create(HalfTable.Load(block));
        sbyte* q = (sbyte*)block + 2;
        accumulator = TOperation.Apply(accumulator, Vector512.ConvertToSingle(Lanes.Widen16(q)) * scale, elements);
        return TOperation.Apply(accumulator, Vector512.ConvertToSingle(Lanes.Widen16(q + 16)) * scale, elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats scale = TFloats.Create(HalfTable.Load(block));
        sbyte* q = (sbyte*)block + 2;
        for (int i = 0; i < 32; i += TFloats.Count)
            accumulator = TOperation.Apply(accumulator, TIntegers.ToSingle(TIntegers.Widen(q + i)) * scale, elements + i);
        return accumulator;
    }
}
