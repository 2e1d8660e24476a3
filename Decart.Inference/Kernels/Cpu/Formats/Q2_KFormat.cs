using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 16 bytes with a 4-bit scale s (low) and minimum m (high) for each 16 weights, 64 bytes of two-bit q, f16 d and dmin: weight <c>d * s * q - dmin * m</c>.
/// Each 128 weights take 32 bytes of q: bits 0-1 hold the first 32 weights, bits 2-3 the next 32, and so on.
/// </summary>
internal readonly unsafe struct Q2_KFormat : ILongBlockFormat<Q2_KFormat>
{
    public static TensorType Type => TensorType.Q2_K;

    public static int BlockLength => 256;

    public static int BlockBytes => 84;

    /// <summary>The value of a nibble whose upper two bits mean nothing.</summary>
    private static Vector512<float> TwoBitValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(0f, 1f, 2f, 3f, 0f, 1f, 2f, 3f, 0f, 1f, 2f, 3f, 0f, 1f, 2f, 3f);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        ScaleBuffer buffer;
        float* scales = ScaleBuffer.Align(&buffer), offsets = scales + 16;
        StoreScalesAndOffsets<Float32x8, Int32x8>(block, scales);
        for (byte* q = block + 16; q < block + 80; q += 32)
        {
            Vector512<int> first = Lanes.Widen16(q), second = Lanes.Widen16(q + 16);
            accumulator = Group<TOperation>(accumulator, first, second, scales, offsets, elements);
            accumulator = Group<TOperation>(accumulator, first >>> 2, second >>> 2, scales + 2, offsets + 2, elements + 32);
            accumulator = Group<TOperation>(accumulator, first >>> 4, second >>> 4, scales + 4, offsets + 4, elements + 64);
            accumulator = Group<TOperation>(accumulator, first >>> 6, second >>> 6, scales + 6, offsets + 6, elements + 96);
            scales += 8;
            offsets += 8;
            elements += 128;
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Group<TOperation>(
        Vector512<float> accumulator, Vector512<int> first, Vector512<int> second, float* scales, float* offsets, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> firstValues = Vector512.FusedMultiplyAdd(TwoBitValues, Vector512.Create(scales[0]), Vector512.Create(offsets[0]));
        Vector512<float> secondValues = Vector512.FusedMultiplyAdd(TwoBitValues, Vector512.Create(scales[1]), Vector512.Create(offsets[1]));
        accumulator = TOperation.Apply(accumulator, Lanes.Lookup(firstValues, first), elements);
        return TOperation.Apply(accumulator, Lanes.Lookup(secondValues, second), elements + 16);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        ScaleBuffer buffer;
        float* scales = ScaleBuffer.Align(&buffer), offsets = scales + 16;
        StoreScalesAndOffsets<TFloats, TIntegers>(block, scales);
        for (byte* q = block + 16; q < block + 80; q += 32)
        {
            accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, q, 0, scales, offsets, elements);
            accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, q, 2, scales + 2, offsets + 2, elements + 32);
            accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, q, 4, scales + 4, offsets + 4, elements + 64);
            accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, q, 6, scales + 6, offsets + 6, elements + 96);
            scales += 8;
            offsets += 8;
            elements += 128;
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Group<TOperation, TFloats, TIntegers>(
        TFloats accumulator, byte* q, int shift, float* scales, float* offsets, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        for (int half = 0; half < 2; half++, q += 16, elements += 16)
        {
            TFloats scale = TFloats.Create(scales[half]), offset = TFloats.Create(offsets[half]);
            for (int i = 0; i < 16; i += TFloats.Count)
            {
                TIntegers bits = (TIntegers.Widen(q + i) >>> shift) & TIntegers.Create(3);
                accumulator = NibbleBlock.Scaled<TOperation, TFloats, TIntegers>(accumulator, bits, scale, offset, elements + i);
            }
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreScalesAndOffsets<TFloats, TIntegers>(byte* block, float* destination)
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats unit = TFloats.Create(HalfTable.Load(block + 80)), negativeMinimum = TFloats.Create(-HalfTable.Load(block + 82));
        for (int i = 0; i < 16; i += TFloats.Count)
        {
            TIntegers packed = TIntegers.Widen(block + i);
            (TIntegers.ToSingle(packed & TIntegers.Create(15)) * unit).Store(destination + i);
            (TIntegers.ToSingle(packed >>> 4) * negativeMinimum).Store(destination + 16 + i);
        }
    }
}
