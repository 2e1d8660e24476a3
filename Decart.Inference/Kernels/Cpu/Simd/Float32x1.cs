using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>One lane: for machines without vectors of 256 bits.</summary>
internal readonly unsafe struct Float32x1(float value) : ILanes<Float32x1>
{
    private readonly float _value = value;

    public static int Count => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 Create(float value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 Load(float* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* destination) => *destination = _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 operator +(Float32x1 left, Float32x1 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 operator -(Float32x1 left, Float32x1 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 operator *(Float32x1 left, Float32x1 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 operator /(Float32x1 left, Float32x1 right) => new(left._value / right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 MultiplyAdd(Float32x1 a, Float32x1 b, Float32x1 addend) => new(float.MultiplyAddEstimate(a._value, b._value, addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 MultiplyAdd(Float32x1 a, float* b, Float32x1 addend) => new(float.MultiplyAddEstimate(a._value, *b, addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 Max(Float32x1 left, Float32x1 right) => left._value > right._value ? left : right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 Min(Float32x1 left, Float32x1 right) => left._value < right._value ? left : right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 ClearBelow(Float32x1 x, Float32x1 bound, Float32x1 value) => x._value < bound._value ? new(0) : value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x1 PowerOfTwo(Float32x1 shifted) =>
        new(BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(shifted._value) << 23) + 0x3F80_0000));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Float32x1 value) => value._value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxElement(Float32x1 value) => value._value;
}
