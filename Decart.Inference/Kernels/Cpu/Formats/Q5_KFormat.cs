using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d and dmin, 12 bytes of 6-bit scales s and minimums m for each 32 weights, 32 bytes of fifth bits, 128 bytes of nibbles:
/// weight <c>d * s * q - dmin * m</c> for the five-bit q. Nibbles lie as in Q4_K; bit g of fifth-bit byte i belongs to weight 32 g + i.
/// </summary>
internal readonly unsafe struct Q5_KFormat : ILongBlockFormat<Q5_KFormat>
{
    public static TensorType Type => TensorType.Q5_K;

    public static int BlockLength => 256;

    public static int BlockBytes => 176;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        ScaleBuffer buffer;
        float* scales = ScaleBuffer.Align(&buffer), offsets = scales + 8;
        SuperBlock.StoreScalesAndOffsets<Float32x8, Int32x8>(block, scales);
        Vector512<int> firstFifth = Lanes.Widen16(block + 16) << 4, secondFifth = Lanes.Widen16(block + 32) << 4;
        byte* nibbles = block + 48;
        for (int group = 0; group < 8; group += 2)
        {
            Vector512<int> first = Lanes.Widen16(nibbles), second = Lanes.Widen16(nibbles + 16);
            accumulator = Group<TOperation>(accumulator, first, second, firstFifth, secondFifth, scales[group], offsets[group], elements);
            accumulator = Group<TOperation>(
                accumulator, first >>> 4, second >>> 4, firstFifth >>> 1, secondFifth >>> 1, scales[group + 1], offsets[group + 1], elements + 32);
            firstFifth >>>= 2;
            secondFifth >>>= 2;
            nibbles += 32;
            elements += 64;
        }
        return accumulator;
    }

    /// <summary>32 weights whose nibbles are in bits 0-3 and whose fifth bits are in bit 4.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Group<TOperation>(
        Vector512<float> accumulator, Vector512<int> first, Vector512<int> second, Vector512<int> firstFifth, Vector512<int> secondFifth,
        float scale, float offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scales = Vector512.Create(scale), offsets = Vector512.Create(offset);
        Vector512<float> low = Vector512.FusedMultiplyAdd(Lanes.Iota16, scales, offsets);
        Vector512<float> high = Vector512.FusedMultiplyAdd(Lanes.Iota16 + Vector512.Create(16f), scales, offsets);
        Vector512<int> nibble = Vector512.Create(15);
        accumulator = TOperation.Apply(accumulator, Lanes.Lookup(low, high, Vector512.ConditionalSelect(nibble, first, firstFifth)), elements);
        return TOperation.Apply(accumulator, Lanes.Lookup(low, high, Vector512.ConditionalSelect(nibble, second, secondFifth)), elements + 16);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        ScaleBuffer buffer;
        float* scales = ScaleBuffer.Align(&buffer), offsets = scales + 8;
        SuperBlock.StoreScalesAndOffsets<TFloats, TIntegers>(block, scales);
        byte* fifthBits = block + 16, nibbles = block + 48;
        TIntegers nibble = TIntegers.Create(15), fifth = TIntegers.Create(16);
        for (int group = 0; group < 8; group += 2)
        {
            TFloats scale = TFloats.Create(scales[group]), offset = TFloats.Create(offsets[group]);
            for (int i = 0; i < 32; i += TFloats.Count)
            {
                TIntegers q = (TIntegers.Widen(nibbles + i) & nibble) | (((TIntegers.Widen(fifthBits + i) << 4) >>> group) & fifth);
                accumulator = NibbleBlock.Scaled<TOperation, TFloats, TIntegers>(accumulator, q, scale, offset, elements + i);
            }
            scale = TFloats.Create(scales[group + 1]);
            offset = TFloats.Create(offsets[group + 1]);
            for (int i = 0; i < 32; i += TFloats.Count)
            {
                TIntegers q = (TIntegers.Widen(nibbles + i) >>> 4) | (((TIntegers.Widen(fifthBits + i) << 3) >>> group) & fifth);
                accumulator = NibbleBlock.Scaled<TOperation, TFloats, TIntegers>(accumulator, q, scale, offset, elements + 32 + i);
            }
            nibbles += 32;
            elements += 64;
        }
        return accumulator;
    }
}
