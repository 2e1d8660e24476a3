using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d and dmin, 12 bytes of 6-bit scales s and minimums m for each 32 weights, 32 bytes of fifth bits, 128 bytes of nibbles:
/// weight <c>d * s * q - dmin * m</c> for the five-bit q. Nibbles lie as in Q4_K; bit g of fifth-bit byte i belongs to weight 32 g + i.
/// </summary>
internal readonly unsafe struct Q5_KFormat : IBlockFormat<Q5_KFormat>
{
    public static TensorType Type => TensorType.Q5_K;

    public static int BlockLength => 256;

    public static int BlockBytes => 176;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scaleBuffer;
        float* scales = (float*)&scaleBuffer, offsets = scales + 8;
        SuperBlock.LoadScalesAndOffsets(block, scales);
        Vector512<int> firstBits = Lanes.Widen16(block + 16), secondBits = Lanes.Widen16(block + 32), bit = Vector512<int>.One;
        byte* nibbles = block + 48;
        for (int group = 0; group < 8; group += 2)
        {
            Vector512<int> first = Lanes.Widen16(nibbles), second = Lanes.Widen16(nibbles + 16);
            accumulator = Group<TOperation>(accumulator, first, second, firstBits & bit, secondBits & bit, scales[group], offsets[group], elements);
            bit <<= 1;
            accumulator = Group<TOperation>(
                accumulator, first >>> 4, second >>> 4, firstBits & bit, secondBits & bit, scales[group + 1], offsets[group + 1], elements + 32);
            bit <<= 1;
            nibbles += 32;
            elements += 64;
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Group<TOperation>(
        Vector512<float> accumulator, Vector512<int> first, Vector512<int> second, Vector512<int> firstBit, Vector512<int> secondBit,
        float scale, float offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scales = Vector512.Create(scale), offsets = Vector512.Create(offset);
        Vector512<float> low = Vector512.FusedMultiplyAdd(Lanes.Iota16, scales, offsets);
        Vector512<float> high = Vector512.FusedMultiplyAdd(Lanes.Iota16 + Vector512.Create(16f), scales, offsets);
        accumulator = TOperation.Apply(accumulator, NibbleBlock.LookupEither(low, high, first, firstBit), elements);
        return TOperation.Apply(accumulator, NibbleBlock.LookupEither(low, high, second, secondBit), elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector256<float> ForEach<TOperation>(Vector256<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scaleBuffer;
        float* scales = (float*)&scaleBuffer, offsets = scales + 8;
        SuperBlock.LoadScalesAndOffsets(block, scales);
        byte* fifthBits = block + 16, nibbles = block + 48;
        Vector256<int> lowNibble = Vector256.Create(15), bit = Vector256<int>.One;
        for (int group = 0; group < 8; group += 2)
        {
            for (int i = 0; i < 32; i += 8)
            {
                Vector256<int> q = NibbleBlock.WithFifthBit(Lanes.Widen8(nibbles + i) & lowNibble, Lanes.Widen8(fifthBits + i) & bit);
                accumulator = NibbleBlock.Scaled<TOperation>(accumulator, q, scales[group], offsets[group], elements + i);
            }
            bit <<= 1;
            for (int i = 0; i < 32; i += 8)
            {
                Vector256<int> q = NibbleBlock.WithFifthBit(Lanes.Widen8(nibbles + i) >>> 4, Lanes.Widen8(fifthBits + i) & bit);
                accumulator = NibbleBlock.Scaled<TOperation>(accumulator, q, scales[group + 1], offsets[group + 1], elements + 32 + i);
            }
            bit <<= 1;
            nibbles += 32;
            elements += 64;
        }
        return accumulator;
    }
}
