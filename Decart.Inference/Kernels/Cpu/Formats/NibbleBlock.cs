using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 32 weights <c>fma(q, scale, offset)</c> in 16 bytes: byte i holds q of element i in its low nibble and of element i + 16 in its high one.
/// In the five-bit variant bit i of a 32-bit word is the fifth bit of element i.
/// </summary>
/// <remarks>With 16 lanes all values that a nibble can mean fill one register, and a permutation by the nibbles replaces mask, conversion and multiplication.</remarks>
internal static unsafe class NibbleBlock
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ForEach<TOperation>(Vector512<float> accumulator, byte* nibbles, float scale, float offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> values = Vector512.FusedMultiplyAdd(Lanes.Iota16, Vector512.Create(scale), Vector512.Create(offset));
        Vector512<int> bytes = Lanes.Widen16(nibbles);
        accumulator = TOperation.Apply(accumulator, Lanes.Lookup(values, bytes), elements);
        return TOperation.Apply(accumulator, Lanes.Lookup(values, bytes >>> 4), elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ForEach<TOperation>(Vector256<float> accumulator, byte* nibbles, float scale, float offset, float* elements)
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
        Vector512<float> accumulator, byte* nibbles, int fifthBits, float scale, float offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector512<float> scales = Vector512.Create(scale), offsets = Vector512.Create(offset);
        Vector512<float> low = Vector512.FusedMultiplyAdd(Lanes.Iota16, scales, offsets);
        Vector512<float> high = Vector512.FusedMultiplyAdd(Lanes.Iota16 + Vector512.Create(16f), scales, offsets);
        Vector512<int> bytes = Lanes.Widen16(nibbles), bits = Vector512.Create(fifthBits);
        Vector512<int> bit = Vector512.Create(
            1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15);
        accumulator = TOperation.Apply(accumulator, LookupEither(low, high, bytes, bits & bit), elements);
        return TOperation.Apply(accumulator, LookupEither(low, high, bytes >>> 4, bits & (bit << 16)), elements + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ForEachFiveBit<TOperation>(
        Vector256<float> accumulator, byte* nibbles, int fifthBits, float scale, float offset, float* elements)
        where TOperation : ILaneOperation
    {
        Vector256<int> first = Lanes.Widen8(nibbles), second = Lanes.Widen8(nibbles + 8), lowNibble = Vector256.Create(15);
        Vector256<int> bits = Vector256.Create(fifthBits), bit = Vector256.Create(1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7);
        accumulator = Scaled<TOperation>(accumulator, WithFifthBit(first & lowNibble, bits & bit), scale, offset, elements);
        accumulator = Scaled<TOperation>(accumulator, WithFifthBit(second & lowNibble, bits & (bit << 8)), scale, offset, elements + 8);
        accumulator = Scaled<TOperation>(accumulator, WithFifthBit(first >>> 4, bits & (bit << 16)), scale, offset, elements + 16);
        return Scaled<TOperation>(accumulator, WithFifthBit(second >>> 4, bits & (bit << 24)), scale, offset, elements + 24);
    }

    /// <summary>Entry <c>index % 16</c> of <paramref name="high"/> where <paramref name="fifthBit"/> is not zero, else of <paramref name="low"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LookupEither(Vector512<float> low, Vector512<float> high, Vector512<int> index, Vector512<int> fifthBit) =>
        Vector512.ConditionalSelect(Vector512.Equals(fifthBit, Vector512<int>.Zero).AsSingle(), Lanes.Lookup(low, index), Lanes.Lookup(high, index));

    /// <summary>Adds 16 to the lanes where <paramref name="fifthBit"/> is not zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> WithFifthBit(Vector256<int> nibbles, Vector256<int> fifthBit) =>
        nibbles + Vector256.AndNot(Vector256.Create(16), Vector256.Equals(fifthBit, Vector256<int>.Zero));

    /// <summary>Applies the operation to <c>fma(q, scale, offset)</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scaled<TOperation>(Vector256<float> accumulator, Vector256<int> q, float scale, float offset, float* elements)
        where TOperation : ILaneOperation =>
        TOperation.Apply(
            accumulator, Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(q), Vector256.Create(scale), Vector256.Create(offset)), elements);
}
