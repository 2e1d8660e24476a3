using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 32 bytes of third bits, 64 bytes of two low bits, 12 bytes of 6-bit scales s for each 16 weights, f16 d: weight <c>d * (s - 32) * (q - 4)</c>
/// for the three-bit q. Low bits lie as in Q2_K; bit g of third-bit byte i belongs to weight 32 g + i.
/// </summary>
internal readonly unsafe struct Q3_KFormat : ILongBlockFormat<Q3_KFormat>
{
    public static TensorType Type => TensorType.Q3_K;

    public static int BlockLength => 256;

    public static int BlockBytes => 110;

    /// <summary>The value of a nibble whose upper bit means nothing.</summary>
    private static Vector512<float> ThreeBitValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(-4f, -3f, -2f, -1f, 0f, 1f, 2f, 3f, -4f, -3f, -2f, -1f, 0f, 1f, 2f, 3f);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        ScaleBuffer buffer;
        float* scales = ScaleBuffer.Align(&buffer);
        SuperBlock.StoreSignedScales<Float32x8, Int32x8>(block + 96, HalfTable.Load(block + 108), scales);
        Vector512<int> firstThird = Lanes.Widen16(block) << 2, secondThird = Lanes.Widen16(block + 16) << 2;
        for (byte* q = block + 32; q < block + 96; q += 32)
        {
            Vector512<int> first = Lanes.Widen16(q), second = Lanes.Widen16(q + 16);
            accumulator = Group<TOperation>(accumulator, first, second, firstThird, secondThird, scales, elements);
            accumulator = Group<TOperation>(accumulator, first >>> 2, second >>> 2, firstThird >>> 1, secondThird >>> 1, scales + 2, elements + 32);
            accumulator = Group<TOperation>(accumulator, first >>> 4, second >>> 4, firstThird >>> 2, secondThird >>> 2, scales + 4, elements + 64);
            accumulator = Group<TOperation>(accumulator, first >>> 6, second >>> 6, firstThird >>> 3, secondThird >>> 3, scales + 6, elements + 96);
            firstThird >>>= 4;
            secondThird >>>= 4;
            scales += 8;
            elements += 128;
        }
        return accumulator;
    }

    /// <summary>32 weights whose two low bits are in bits 0-1 and whose third bits are in bit 2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Group<TOperation>(
        Vector512<float> accumulator, Vector512<int> first, Vector512<int> second, Vector512<int> firstThird, Vector512<int> secondThird,
        float* scales, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<int> lowBits = Vector512.Create(3);
        Vector512<float> firstValues = ThreeBitValues * Vector512.Create(scales[0]), secondValues = ThreeBitValues * Vector512.Create(scales[1]);
        accumulator = TOperation.Apply(accumulator, Lanes.Lookup(firstValues, Vector512.ConditionalSelect(lowBits, first, firstThird)), elements);
        return TOperation.Apply(accumulator, Lanes.Lookup(secondValues, Vector512.ConditionalSelect(lowBits, second, secondThird)), elements + 16);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        ScaleBuffer buffer;
        float* scales = ScaleBuffer.Align(&buffer);
        SuperBlock.StoreSignedScales<TFloats, TIntegers>(block + 96, HalfTable.Load(block + 108), scales);
        for (int half = 0; half < 2; half++)
        {
            byte* q = block + 32 + (32 * half);
            for (int pair = 0; pair < 4; pair++)
            {
                accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, q, 2 * pair, block, (4 * half) + pair, scales, elements);
                scales += 2;
                elements += 32;
            }
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Group<TOperation, TFloats, TIntegers>(
        TFloats accumulator, byte* q, int shift, byte* thirdBits, int thirdBit, float* scales, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        for (int half = 0; half < 2; half++, q += 16, thirdBits += 16, elements += 16)
        {
            TFloats scale = TFloats.Create(scales[half]);
            for (int i = 0; i < 16; i += TFloats.Count)
            {
                TIntegers low = (TIntegers.Widen(q + i) >>> shift) & TIntegers.Create(3);
                TIntegers high = ((TIntegers.Widen(thirdBits + i) << 2) >>> thirdBit) & TIntegers.Create(4);
                accumulator = TOperation.Apply(accumulator, TIntegers.ToSingle((low | high) - TIntegers.Create(4)) * scale, elements + i);
            }
        }
        return accumulator;
    }
}
