using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 32 bytes of third bits, 64 bytes of two low bits, 12 bytes of 6-bit scales s for each 16 weights, f16 d: weight <c>d * (s - 32) * (q - 4)</c>
/// for the three-bit q. Low bits lie as in Q2_K; bit g of third-bit byte i belongs to weight 32 g + i.
/// </summary>
internal readonly unsafe struct Q3_KFormat : IBlockFormat<Q3_KFormat>
{
    public static TensorType Type => TensorType.Q3_K;

    public static int BlockLength => 256;

    public static int BlockBytes => 110;

    /// <summary>The value of a nibble whose third bit is clear and whose upper bit means nothing, and that with the third bit set.</summary>
    private static Vector512<float> LowValues
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(-4f, -3f, -2f, -1f, -4f, -3f, -2f, -1f, -4f, -3f, -2f, -1f, -4f, -3f, -2f, -1f);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scaleBuffer;
        float* scales = (float*)&scaleBuffer;
        SuperBlock.LoadSignedScales(block + 96, Lanes.LoadHalf(block + 108).ToScalar(), scales);
        Vector512<int> firstBits = Lanes.Widen16(block), secondBits = Lanes.Widen16(block + 16), bit = Vector512<int>.One;
        for (byte* q = block + 32; q < block + 96; q += 32)
        {
            Vector512<int> first = Lanes.Widen16(q), second = Lanes.Widen16(q + 16);
            accumulator = Group<TOperation>(accumulator, first, second, firstBits & bit, secondBits & bit, scales, elements);
            accumulator = Group<TOperation>(accumulator, first >>> 2, second >>> 2, firstBits & (bit << 1), secondBits & (bit << 1), scales + 2, elements + 32);
            accumulator = Group<TOperation>(accumulator, first >>> 4, second >>> 4, firstBits & (bit << 2), secondBits & (bit << 2), scales + 4, elements + 64);
            accumulator = Group<TOperation>(accumulator, first >>> 6, second >>> 6, firstBits & (bit << 3), secondBits & (bit << 3), scales + 6, elements + 96);
            bit <<= 4;
            scales += 8;
            elements += 128;
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Group<TOperation>(
        Vector512<float> accumulator, Vector512<int> first, Vector512<int> second, Vector512<int> firstBit, Vector512<int> secondBit,
        float* scales, float* elements)
        where TOperation : ILaneOperation
    {
        accumulator = TOperation.Apply(accumulator, Weights(first, firstBit, scales[0]), elements);
        return TOperation.Apply(accumulator, Weights(second, secondBit, scales[1]), elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Weights(Vector512<int> lowBits, Vector512<int> thirdBit, float scale)
    {
        Vector512<float> scales = Vector512.Create(scale), low = LowValues * scales, high = (LowValues + Vector512.Create(4f)) * scales;
        return NibbleBlock.LookupEither(low, high, lowBits, thirdBit);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector256<float> ForEach<TOperation>(Vector256<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scaleBuffer;
        float* scales = (float*)&scaleBuffer;
        SuperBlock.LoadSignedScales(block + 96, Lanes.LoadHalf(block + 108).ToScalar(), scales);
        Vector256<int> lowBits = Vector256.Create(3), bit = Vector256<int>.One;
        for (byte* q = block + 32; q < block + 96; q += 32)
        {
            for (int shift = 0; shift < 8; shift += 2)
            {
                for (int i = 0; i < 32; i += 8)
                {
                    Vector256<int> isClear = Vector256.Equals(Lanes.Widen8(block + i) & bit, Vector256<int>.Zero);
                    Vector256<int> value = ((Lanes.Widen8(q + i) >>> shift) & lowBits) - (isClear & Vector256.Create(4));
                    Vector256<float> weights = Vector256.ConvertToSingle(value) * Vector256.Create(scales[i / 16]);
                    accumulator = TOperation.Apply(accumulator, weights, elements + i);
                }
                bit <<= 1;
                scales += 2;
                elements += 32;
            }
        }
        return accumulator;
    }
}
