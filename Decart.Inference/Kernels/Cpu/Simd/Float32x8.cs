using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Eight lanes: a vector of 256 bits.</summary>
internal readonly unsafe struct Float32x8(Vector256<float> value) : ILanes<Float32x8>
{
    private readonly Vector256<float> _value = value;

    public static int Count => 8;

    public Vector256<float> Vector => _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 Create(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 Load(float* source) => new(Vector256.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* destination) => _value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 operator +(Float32x8 left, Float32x8 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 operator -(Float32x8 left, Float32x8 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 operator *(Float32x8 left, Float32x8 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 operator /(Float32x8 left, Float32x8 right) => new(left._value / right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 MultiplyAdd(Float32x8 a, Float32x8 b, Float32x8 addend) =>
        new(Vector256.MultiplyAddEstimate(a._value, b._value, addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 MultiplyAdd(Float32x8 a, float* b, Float32x8 addend) =>
        new(Vector256.MultiplyAddEstimate(a._value, Vector256.Load(b), addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 Max(Float32x8 left, Float32x8 right) => new(Vector256.MaxNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 Min(Float32x8 left, Float32x8 right) => new(Vector256.MinNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 ClearBelow(Float32x8 x, Float32x8 bound, Float32x8 value) =>
        new(Vector256.ConditionalSelect(Vector256.LessThan(x._value, bound._value), Vector256<float>.Zero, value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x8 PowerOfTwo(Float32x8 shifted) =>
        new(((shifted._value.AsInt32() << 23) + Vector256.Create(0x3F80_0000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Float32x8 value)
    {
        Vector128<float> four = value._value.GetLower() + value._value.GetUpper();
        Vector128<float> two = four + Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1));
        return two.ToScalar() + two.GetElement(1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxElement(Float32x8 value)
    {
        Vector128<float> four = Vector128.MaxNative(value._value.GetLower(), value._value.GetUpper());
        Vector128<float> two = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(two.ToScalar(), two.GetElement(1));
    }
}
