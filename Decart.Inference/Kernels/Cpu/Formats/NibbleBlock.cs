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
    public static TFloats ForEach<TOperation, TFloats, TIntegers>(TFloats accumulator, byte* nibbles, TFloats scale, TFloats offset, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TIntegers lowNibble = TIntegers.Create(15);
        for (int i = 0; i < 16; i += TFloats.Count)
            accumulator = Scaled<TOperation, TFloats, TIntegers>(accumulator, TIntegers.Widen(nibbles + i) & lowNibble, scale, offset, elements + i);
        for (int i = 0; i < 16; i += TFloats.Count)
            accumulator = Scaled<TOperation, TFloats, TIntegers>(accumulator, TIntegers.Widen(nibbles + i) >>> 4, scale, offset, elements + 16 + i);
        return accumulator;
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
    public static TFloats ForEachFiveBit<TOperation, TFloats, TIntegers>(
        TFloats accumulator, byte* nibbles, uint fifthBits, TFloats scale, TFloats offset, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats>
    {
        TIntegers lowNibble = TIntegers.Create(15);
        for (int i = 0; i < 16; i += TFloats.Count)
        {
            TIntegers q = (TIntegers.Widen(nibbles + i) & lowNibble) | TIntegers.SpreadToBit4(fifthBits, i);
            accumulator = Scaled<TOperation, TFloats, TIntegers>(accumulator, q, scale, offset, elements + i);
        }
        for (int i = 0; i < 16; i += TFloats.Count)
        {
            TIntegers q = (TIntegers.Widen(nibbles + i) >>> 4) | TIntegers.SpreadToBit4(fifthBits, 16 + i);
            accumulator = Scaled<TOperation, TFloats, TIntegers>(accumulator, q, scale, offset, elements + 16 + i);
        }
        return accumulator;
    }

    /// <summary>Applies the operation to <c>fma(q, scale, offset)</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TFloats Scaled<TOperation, TFloats, TIntegers>(TFloats accumulator, TIntegers q, TFloats scale, TFloats offset, float* elements)
        where TOperation : ILaneOperation
        where TFloats : unmanaged, ILanes<TFloats>
        where TIntegers : unmanaged, IIntegerLanes<TIntegers, TFloats> =>
        TOperation.Apply(accumulator, TFloats.MultiplyAdd(TIntegers.ToSingle(q), scale, offset), elements);
}
