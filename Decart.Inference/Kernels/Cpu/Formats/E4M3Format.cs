using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>f32 scale times 2^120, then a byte for each weight: sign, 4 exponent bits with bias 7, 3 mantissa bits. The weight is rounded once.</summary>
/// <remarks>
/// The bits are moved to their binary32 places, where they mean 2^-120 of their value, subnormal ones too; the block's factor makes up for it. NaN would
/// become a number: who writes blocks has refused it.
/// </remarks>
internal readonly unsafe struct E4M3Format<TGroup> : IBlockFormat<E4M3Format<TGroup>>
    where TGroup : IGroup
{
    private const int SignAndMagnitude = unchecked((int)0x87F0_0000);

    public static TensorType Type => TGroup.E4M3;

    public static int BlockLength => TGroup.Length;

    public static int BlockBytes => sizeof(float) + TGroup.Length;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> factor = Vector512.Create(*(float*)block);
        for (int i = 0; i < TGroup.Length; i += 16)
        {
            Vector512<int> moved = (Lanes.Widen16((sbyte*)block + sizeof(float) + i) << 20) & Vector512.Create(SignAndMagnitude);
            accumulator = TOperation.Apply(accumulator, moved.AsSingle() * factor, elements + i);
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats factor = TFloats.Create(*(float*)block);
        for (int i = 0; i < TGroup.Length; i += TFloats.Count)
        {
            TIntegers moved = (TIntegers.Widen((sbyte*)block + sizeof(float) + i) << 20) & TIntegers.Create(SignAndMagnitude);
            accumulator = TOperation.Apply(accumulator, TIntegers.AsSingle(moved) * factor, elements + i);
        }
        return accumulator;
    }
}

/// <summary>The scale of a block of 8-bit floats.</summary>
internal static class E4M3Header
{
    /// <summary>2^120: what the scale is multiplied by.</summary>
    public const float Factor = 1.329227995784916e36f;
}
