using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Four integers: a vector of 128 bits.</summary>
internal readonly unsafe struct Int32x4(Vector128<int> value) : IIntegerLanes<Int32x4, Float32x4>
{
    private readonly Vector128<int> _value = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 Create(int value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 Widen(byte* source) => Widen((ulong)Unsafe.ReadUnaligned<uint>(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 Widen(sbyte* source)
    {
        Vector128<sbyte> bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(source)).AsSByte();
        return new(Sse41.IsSupported ? Sse41.ConvertToVector128Int32(bytes) : Vector128.WidenLower(Vector128.WidenLower(bytes)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 Widen(short* source) => new(Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(source)).AsInt16()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 Widen(ulong bytes)
    {
        Vector128<byte> vector = Vector128.CreateScalarUnsafe((uint)bytes).AsByte();
        return new(Sse41.IsSupported ? Sse41.ConvertToVector128Int32(vector) : Vector128.WidenLower(Vector128.WidenLower(vector)).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 SpreadToBit4(uint bits, int start)
    {
        Vector128<uint> mask = Vector128.Create(1u, 2u, 4u, 8u) << start;
        return new(Vector128.AndNot(Vector128.Create(16u), Vector128.Equals(Vector128.Create(bits) & mask, Vector128<uint>.Zero)).AsInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 LookUp(float* table, Int32x4 index)
    {
        Vector128<int> i = index._value;
        return new(Vector128.Create(table[i.GetElement(0)], table[i.GetElement(1)], table[i.GetElement(2)], table[i.GetElement(3)]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 ToSingle(Int32x4 value) => new(Vector128.ConvertToSingle(value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 AsSingle(Int32x4 bits) => new(bits._value.AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 BitsOf(Float32x4 value) => new(value.Vector.AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 operator &(Int32x4 left, Int32x4 right) => new(left._value & right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 operator |(Int32x4 left, Int32x4 right) => new(left._value | right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 operator ^(Int32x4 left, Int32x4 right) => new(left._value ^ right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 operator ~(Int32x4 value) => new(~value._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 operator -(Int32x4 left, Int32x4 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 operator <<(Int32x4 value, int shift) => new(value._value << shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 operator >>(Int32x4 value, int shift) => new(value._value >> shift);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Int32x4 operator >>>(Int32x4 value, int shift) => new(value._value >>> shift);
}
