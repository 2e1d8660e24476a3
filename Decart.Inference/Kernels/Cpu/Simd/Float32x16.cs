using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Sixteen lanes: a vector of 512 bits.</summary>
internal readonly unsafe struct Float32x16(Vector512<float> value) : ILanes<Float32x16>
{
    private readonly Vector512<float> _value = value;

    public static int Count => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 Create(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* destination) => _value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 operator +(Float32x16 left, Float32x16 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 operator -(Float32x16 left, Float32x16 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 operator *(Float32x16 left, Float32x16 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 operator /(Float32x16 left, Float32x16 right) => new(left._value / right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 MultiplyAdd(Float32x16 a, Float32x16 b, Float32x16 addend) =>
        new(Vector512.MultiplyAddEstimate(a._value, b._value, addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 MultiplyAdd(Float32x16 a, float* b, Float32x16 addend) =>
        new(Vector512.MultiplyAddEstimate(a._value, Vector512.Load(b), addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 Max(Float32x16 left, Float32x16 right) => new(Vector512.MaxNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 Min(Float32x16 left, Float32x16 right) => new(Vector512.MinNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 ClearBelow(Float32x16 x, Float32x16 bound, Float32x16 value) =>
        new(Vector512.ConditionalSelect(Vector512.LessThan(x._value, bound._value), Vector512<float>.Zero, value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x16 PowerOfTwo(Float32x16 shifted) =>
        new(((shifted._value.AsInt32() << 23) + Vector512.Create(0x3F80_0000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Float32x16 value) => Float32x8.Sum(new(value._value.GetLower() + value._value.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxElement(Float32x16 value) =>
        Float32x8.MaxElement(new(Vector256.MaxNative(value._value.GetLower(), value._value.GetUpper())));
}
