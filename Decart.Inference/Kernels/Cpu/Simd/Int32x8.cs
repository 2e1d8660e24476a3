using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Eight integers: a vector of 256 bits.</summary>
internal readonly unsafe struct Int32x8(Vector256<int> value) : IIntegerLanes<Int32x8, Float32x8>
{
    private readonly Vector256<int> _value = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 Create(int value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 Widen(byte* source) => new(Lanes.Widen8(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 Widen(sbyte* source) => new(Lanes.Widen8(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 Widen(short* source) => new(Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 Widen(ulong bytes) => new(Lanes.Widen8(bytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 SpreadToBit4(uint bits, int start) => new(Lanes.SpreadToBit4(Vector256.Create(bits), start));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 LookUp(float* table, Int32x8 index)
    {
        Vector256<int> i = index._value;
        if (!Avx2.IsSupported)
        {
            return new(Vector256.Create(
                table[i.GetElement(0)], table[i.GetElement(1)], table[i.GetElement(2)], table[i.GetElement(3)],
                table[i.GetElement(4)], table[i.GetElement(5)], table[i.GetElement(6)], table[i.GetElement(7)]));
        }
        Vector256<float> low = Avx2.PermuteVar8x32(Vector256.Load(table), i), high = Avx2.PermuteVar8x32(Vector256.Load(table + 8), i);
        return new(Avx.BlendVariable(low, high, (i << 28).AsSingle()));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 ToSingle(Int32x8 value) => new(Vector256.ConvertToSingle(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 AsSingle(Int32x8 bits) => new(bits._value.AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 BitsOf(Float32x8 value) => new(value.Vector.AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 operator &(Int32x8 left, Int32x8 right) => new(left._value & right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 operator |(Int32x8 left, Int32x8 right) => new(left._value | right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 operator ^(Int32x8 left, Int32x8 right) => new(left._value ^ right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 operator ~(Int32x8 value) => new(~value._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 operator -(Int32x8 left, Int32x8 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 operator <<(Int32x8 value, int shift) => new(value._value << shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 operator >>(Int32x8 value, int shift) => new(value._value >> shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x8 operator >>>(Int32x8 value, int shift) => new(value._value >>> shift);
}
