using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Four lanes: a vector of 128 bits.</summary>
internal readonly unsafe struct Float32x4(Vector128<float> value) : ILanes<Float32x4>
{
    private readonly Vector128<float> _value = value;

    public static int Count => 4;

    public Vector128<float> Vector => _value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 Create(float value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 Load(float* source) => new(Vector128.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(float* destination) => _value.Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 operator +(Float32x4 left, Float32x4 right) => new(left._value + right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 operator -(Float32x4 left, Float32x4 right) => new(left._value - right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 operator *(Float32x4 left, Float32x4 right) => new(left._value * right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 operator /(Float32x4 left, Float32x4 right) => new(left._value / right._value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 MultiplyAdd(Float32x4 a, Float32x4 b, Float32x4 addend) =>
        new(Vector128.MultiplyAddEstimate(a._value, b._value, addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 MultiplyAdd(Float32x4 a, float* b, Float32x4 addend) =>
        new(Vector128.MultiplyAddEstimate(a._value, Vector128.Load(b), addend._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 Max(Float32x4 left, Float32x4 right) => new(Vector128.MaxNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 Min(Float32x4 left, Float32x4 right) => new(Vector128.MinNative(left._value, right._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 ClearBelow(Float32x4 x, Float32x4 bound, Float32x4 value) =>
        new(Vector128.ConditionalSelect(Vector128.LessThan(x._value, bound._value), Vector128<float>.Zero, value._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float32x4 PowerOfTwo(Float32x4 shifted) =>
        new(((shifted._value.AsInt32() << 23) + Vector128.Create(0x3F80_0000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Float32x4 value)
    {
        Vector128<float> two = value._value + Vector128.Shuffle(value._value, Vector128.Create(2, 3, 0, 1));
        return two.ToScalar() + two.GetElement(1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxElement(Float32x4 value)
    {
        Vector128<float> two = Vector128.MaxNative(value._value, Vector128.Shuffle(value._value, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(two.ToScalar(), two.GetElement(1));
    }
}
