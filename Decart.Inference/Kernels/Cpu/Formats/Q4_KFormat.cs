using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d and dmin, 12 bytes of 6-bit scales s and minimums m for each 32 weights, 128 bytes of nibbles q: weight <c>d * s * q - dmin * m</c>.
/// Each 64 weights take 32 bytes: the low nibbles hold the first 32, the high nibbles the second.
/// </summary>
internal readonly unsafe struct Q4_KFormat : ILongBlockFormat<Q4_KFormat>
{
    public static TensorType Type => TensorType.Q4_K;

    public static int BlockLength => 256;

    public static int BlockBytes => 144;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        ScaleBuffer buffer;
        float* scales = ScaleBuffer.Align(&buffer), offsets = scales + 8;
        SuperBlock.StoreScalesAndOffsets<Float32x8, Int32x8>(block, scales);
        byte* nibbles = block + 16;
        for (int group = 0; group < 8; group += 2)
        {
            Vector512<float> low = Vector512.FusedMultiplyAdd(Lanes.Iota16, Vector512.Create(scales[group]), Vector512.Create(offsets[group]));
            Vector512<float> high = Vector512.FusedMultiplyAdd(Lanes.Iota16, Vector512.Create(scales[group + 1]), Vector512.Create(offsets[group + 1]));
            Vector512<int> first = Lanes.Widen16(nibbles), second = Lanes.Widen16(nibbles + 16);
            accumulator = TOperation.Apply(accumulator, Lanes.Lookup(low, first), elements);
            accumulator = TOperation.Apply(accumulator, Lanes.Lookup(low, second), elements + 16);
            accumulator = TOperation.Apply(accumulator, Lanes.Lookup(high, first >>> 4), elements + 32);
            accumulator = TOperation.Apply(accumulator, Lanes.Lookup(high, second >>> 4), elements + 48);
            nibbles += 32;
            elements += 64;
        }
        return accumulator;
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
        byte* nibbles = block + 16;
        TIntegers lowNibble = TIntegers.Create(15);
        for (int group = 0; group < 8; group += 2)
        {
            TFloats scale = TFloats.Create(scales[group]), offset = TFloats.Create(offsets[group]);
            for (int i = 0; i < 32; i += TFloats.Count)
            {
                TIntegers q = TIntegers.Widen(nibbles + i) & lowNibble;
                accumulator = NibbleBlock.Scaled<TOperation, TFloats, TIntegers>(accumulator, q, scale, offset, elements + i);
            }
            scale = TFloats.Create(scales[group + 1]);
            offset = TFloats.Create(offsets[group + 1]);
            for (int i = 0; i < 32; i += TFloats.Count)
            {
                TIntegers q = TIntegers.Widen(nibbles + i) >>> 4;
                accumulator = NibbleBlock.Scaled<TOperation, TFloats, TIntegers>(accumulator, q, scale, offset, elements + 32 + i);
            }
            nibbles += 32;
            elements += 64;
        }
        return accumulator;
    }
}
