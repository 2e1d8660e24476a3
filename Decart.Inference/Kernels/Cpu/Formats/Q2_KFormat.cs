using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 16 bytes with a 4-bit scale s (low) and minimum m (high) for each 16 weights, 64 bytes of two-bit q, f16 d and dmin: weight <c>d * s * q - dmin * m</c>.
/// Each 128 weights take 32 bytes of q: bits 0-1 hold the first 32 weights, bits 2-3 the next 32, and so on.
/// </summary>
internal readonly unsafe struct Q2_KFormat : IBlockFormat<Q2_KFormat>
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        (Vector512<float>, Vector512<float>) scaleBuffer;
        float* scales = (float*)&scaleBuffer;
        LoadScalesAndOffsets(block, scales);
        for (byte* q = block + 16; q < block + 80; q += 32)
        {
            Vector512<int> first = Lanes.Widen16(q), second = Lanes.Widen16(q + 16);
            accumulator = Group<TOperation>(accumulator, first, second, scales, elements);
            accumulator = Group<TOperation>(accumulator, first >>> 2, second >>> 2, scales + 2, elements + 32);
            accumulator = Group<TOperation>(accumulator, first >>> 4, second >>> 4, scales + 4, elements + 64);
            accumulator = Group<TOperation>(accumulator, first >>> 6, second >>> 6, scales + 6, elements + 96);
            scales += 8;
            elements += 128;
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Group<TOperation>(
        Vector512<float> accumulator, Vector512<int> first, Vector512<int> second, float* scales, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> firstValues = Vector512.FusedMultiplyAdd(TwoBitValues, Vector512.Create(scales[0]), Vector512.Create(scales[16]));
        Vector512<float> secondValues = Vector512.FusedMultiplyAdd(TwoBitValues, Vector512.Create(scales[1]), Vector512.Create(scales[17]));
        accumulator = TOperation.Apply(accumulator, Lanes.Lookup(firstValues, first), elements);
        return TOperation.Apply(accumulator, Lanes.Lookup(secondValues, second), elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector256<float> ForEach<TOperation>(Vector256<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        (Vector512<float>, Vector512<float>) scaleBuffer;
        float* scales = (float*)&scaleBuffer;
        LoadScalesAndOffsets(block, scales);
        Vector256<int> lowBits = Vector256.Create(3);
        for (byte* q = block + 16; q < block + 80; q += 32)
        {
            for (int shift = 0; shift < 8; shift += 2)
            {
                for (int i = 0; i < 32; i += 8)
                {
                    float* scale = scales + i / 16;
                    accumulator = NibbleBlock.Scaled<TOperation>(accumulator, (Lanes.Widen8(q + i) >>> shift) & lowBits, scale[0], scale[16], elements + i);
                }
                scales += 2;
                elements += 32;
            }
        }
        return accumulator;
    }

    /// <summary>16 scales, then 16 negated minimums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadScalesAndOffsets(byte* block, float* destination)
    {
        Vector128<float> units = Lanes.LoadTwoHalves(block + 80);
        for (int i = 0; i < 16; i += 8)
        {
            Vector256<int> packed = Lanes.Widen8(block + i);
            SuperBlock.StoreScaled(packed & Vector256.Create(15), units.ToScalar(), destination + i);
            SuperBlock.StoreScaled(packed >>> 4, -units.GetElement(1), destination + 16 + i);
        }
    }
}
