using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 32 weights <c>fma(q, scale, offset)</c> in 16 bytes: byte i holds q of element i in its low nibble and of element i + 16 in its high one.
/// In the five-bit variant bit i of a 32-bit word is the fifth bit of element i.
/// </summary>
/// <remarks>
/// With 16 lanes all values that a nibble can mean fill one register, and a permutation by the nibbles replaces mask, conversion and multiplication.
/// Scales come as vectors because only then does a broadcast from memory stay one load.
/// </remarks>
internal static unsafe class NibbleBlock
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(
        Vector512<float> accumulator, byte* nibbles, Vector512<float> scale, Vector512<float> offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> values = Vector512.FusedMultiplyAdd(Lanes.Iota16, scale, offset);
        Vector512<int> bytes = Lanes.Widen16(nibbles);
        accumulator = TOperation.Apply(accumulator, Lanes.Lookup(values, bytes), elements);
        return TOperation.Apply(accumulator, Lanes.Lookup(values, bytes >>> 4), elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ForEach<TOperation>(
        Vector256<float> accumulator, byte* nibbles, Vector256<float> scale, Vector256<float> offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector256<int> first = Lanes.Widen8(nibbles), second = Lanes.Widen8(nibbles + 8), lowNibble = Vector256.Create(15);
        accumulator = Scaled<TOperation>(accumulator, first & lowNibble, scale, offset, elements);
        accumulator = Scaled<TOperation>(accumulator, second & lowNibble, scale, offset, elements + 8);
        accumulator = Scaled<TOperation>(accumulator, first >>> 4, scale, offset, elements + 16);
        return Scaled<TOperation>(accumulator, second >>> 4, scale, offset, elements + 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEachFiveBit<TOperation>(
        Vector512<float> accumulator, byte* nibbles, uint fifthBits, Vector512<float> scale, Vector512<float> offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> low = Vector512.FusedMultiplyAdd(Lanes.Iota16, scale, offset);
        Vector512<float> high = Vector512.FusedMultiplyAdd(Lanes.Iota16 + Vector512.Create(16f), scale, offset);
        Vector512<int> bytes = Lanes.Widen16(nibbles), nibble = Vector512.Create(15);
        Vector512<int> first = Vector512.ConditionalSelect(nibble, bytes, Lanes.SpreadToBit4(fifthBits));
        Vector512<int> second = Vector512.ConditionalSelect(nibble, bytes >>> 4, Lanes.SpreadToBit4(fifthBits >> 16));
        accumulator = TOperation.Apply(accumulator, Lanes.Lookup(low, high, first), elements);
        return TOperation.Apply(accumulator, Lanes.Lookup(low, high, second), elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ForEachFiveBit<TOperation>(
        Vector256<float> accumulator, byte* nibbles, uint fifthBits, Vector256<float> scale, Vector256<float> offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector256<int> first = Lanes.Widen8(nibbles), second = Lanes.Widen8(nibbles + 8), nibble = Vector256.Create(15);
        Vector256<uint> bits = Vector256.Create(fifthBits);
        accumulator = Scaled<TOperation>(accumulator, (first & nibble) | Lanes.SpreadToBit4(bits, 0), scale, offset, elements);
        accumulator = Scaled<TOperation>(accumulator, (second & nibble) | Lanes.SpreadToBit4(bits, 8), scale, offset, elements + 8);
        accumulator = Scaled<TOperation>(accumulator, (first >>> 4) | Lanes.SpreadToBit4(bits, 16), scale, offset, elements + 16);
        return Scaled<TOperation>(accumulator, (second >>> 4) | Lanes.SpreadToBit4(bits, 24), scale, offset, elements + 24);
    }

    /// <summary>Applies the operation to <c>fma(q, scale, offset)</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scaled<TOperation>(
        Vector256<float> accumulator, Vector256<int> q, Vector256<float> scale, Vector256<float> offset, float* elements)
        where TOperation : ILaneOperation =>
        TOperation.Apply(accumulator, Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(q), scale, offset), elements);
}
