using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 128 bytes of low nibbles, 64 bytes of upper bit pairs, a signed byte scale s for each 16 weights, f16 d: weight <c>d * s * (q - 32)</c> for the six-bit q.
/// Each 128 weights take 64 bytes of nibbles (the low ones hold the first 64 weights, the high ones the second) and 32 bytes of pairs, lying as in Q2_K.
/// </summary>
internal readonly unsafe struct Q6_KFormat : ILongBlockFormat<Q6_KFormat>
{
    private const int PairsOffset = 128, ScalesOffset = 192, UnitOffset = 208;

    public static TensorType Type => TensorType.Q6_K;

    public static int BlockLength => 256;

    public static int BlockBytes => 210;

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* block, float* elements)
        where TOperation : ILaneOperation
    {
        ScaleBuffer buffer;
        float* scales = ScaleBuffer.Align(&buffer);
        StoreScales<Float32x8, Int32x8>(block, scales);
        byte* pairs = block + PairsOffset;
        for (byte* nibbles = block; nibbles < block + PairsOffset; nibbles += 64)
        {
            Vector512<int> a = Lanes.Widen16(nibbles), b = Lanes.Widen16(nibbles + 16);
            Vector512<int> c = Lanes.Widen16(nibbles + 32), d = Lanes.Widen16(nibbles + 48);
            Vector512<int> firstPairs = Lanes.Widen16(pairs), secondPairs = Lanes.Widen16(pairs + 16);
            accumulator = Group<TOperation>(accumulator, a, b, firstPairs << 4, secondPairs << 4, scales, elements);
            accumulator = Group<TOperation>(accumulator, c, d, firstPairs << 2, secondPairs << 2, scales + 2, elements + 32);
            accumulator = Group<TOperation>(accumulator, a >>> 4, b >>> 4, firstPairs, secondPairs, scales + 4, elements + 64);
            accumulator = Group<TOperation>(accumulator, c >>> 4, d >>> 4, firstPairs >>> 2, secondPairs >>> 2, scales + 6, elements + 96);
            pairs += 32;
            scales += 8;
            elements += 128;
        }
        return accumulator;
    }

    /// <summary>32 weights whose nibbles are in bits 0-3 and whose pairs are in bits 4-5.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Group<TOperation>(
        Vector512<float> accumulator, Vector512<int> firstNibbles, Vector512<int> secondNibbles, Vector512<int> firstPairs, Vector512<int> secondPairs,
        float* scales, float* elements)
        where TOperation : ILaneOperation
    {
        accumulator = TOperation.Apply(accumulator, Weights(firstNibbles, firstPairs, scales[0]), elements);
        return TOperation.Apply(accumulator, Weights(secondNibbles, secondPairs, scales[1]), elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Weights(Vector512<int> nibbles, Vector512<int> pairs, float scale)
    {
        Vector512<int> q = Vector512.ConditionalSelect(Vector512.Create(15), nibbles, pairs) & Vector512.Create(63);
        return Vector512.ConvertToSingle(q - Vector512.Create(32)) * Vector512.Create(scale);
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
        StoreScales<TFloats, TIntegers>(block, scales);
        byte* pairs = block + PairsOffset;
        for (byte* nibbles = block; nibbles < block + PairsOffset; nibbles += 64)
        {
            accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, nibbles, 0, pairs, 0, scales, elements);
            accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, nibbles + 32, 0, pairs, 2, scales + 2, elements + 32);
            accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, nibbles, 4, pairs, 4, scales + 4, elements + 64);
            accumulator = Group<TOperation, TFloats, TIntegers>(accumulator, nibbles + 32, 4, pairs, 6, scales + 6, elements + 96);
            pairs += 32;
            scales += 8;
            elements += 128;
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TFloats Group<TOperation, TFloats, TIntegers>(
        TFloats accumulator, byte* nibbles, int nibbleShift, byte* pairs, int pairShift, float* scales, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        for (int half = 0; half < 2; half++, nibbles += 16, pairs += 16, elements += 16)
        {
            TFloats scale = TFloats.Create(scales[half]);
            for (int i = 0; i < 16; i += TFloats.Count)
            {
                TIntegers low = (TIntegers.Widen(nibbles + i) >>> nibbleShift) & TIntegers.Create(15);
                TIntegers high = ((TIntegers.Widen(pairs + i) << 4) >>> pairShift) & TIntegers.Create(48);
                accumulator = TOperation.Apply(accumulator, TIntegers.ToSingle((low | high) - TIntegers.Create(32)) * scale, elements + i);
            }
        }
        return accumulator;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreScales<TFloats, TIntegers>(byte* block, float* destination)
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TFloats unit = TFloats.Create(HalfTable.Load(block + UnitOffset));
        for (int i = 0; i < 16; i += TFloats.Count) (TIntegers.ToSingle(TIntegers.Widen((sbyte*)block + ScalesOffset + i)) * unit).Store(destination + i);
    }
}
