namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// A register of float32 lanes. Kernels are written once, generic over it, and compiled for each width the machine may have.
/// Implemented by structs of a single vector, which the compiler keeps in registers.
/// </summary>
internal unsafe interface ILanes<TSelf>
    where TSelf : unmanaged, ILanes<TSelf>
{
    /// <summary>Number of lanes, a power of two up to 16.</summary>
    static abstract int Count { get; }

    static abstract TSelf Create(float value);

    static abstract TSelf Load(float* source);

    void Store(float* destination);

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf left, TSelf right);

    static abstract TSelf operator *(TSelf left, TSelf right);

    static abstract TSelf operator /(TSelf left, TSelf right);

    /// <summary>a * b + addend, with one rounding where the machine has the instruction.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, TSelf b, TSelf addend);

    /// <summary>The same with a factor in memory, which the instruction reads itself.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, float* b, TSelf addend);

    /// <summary>The larger lanes; those of <paramref name="right"/> where either is not a number.</summary>
    static abstract TSelf Max(TSelf left, TSelf right);

    /// <inheritdoc cref="Max"/>
    static abstract TSelf Min(TSelf left, TSelf right);

    /// <summary>0 in the lanes where <paramref name="x"/> is below <paramref name="bound"/>, else <paramref name="value"/>.</summary>
    static abstract TSelf ClearBelow(TSelf x, TSelf bound, TSelf value);

    /// <summary>2^n, given n + 1.5 * 2^23 (whose last mantissa bits are the integer n), -126 &lt;= n &lt;= 127.</summary>
    static abstract TSelf PowerOfTwo(TSelf shifted);

    /// <summary>The sum of the lanes, always added in the same order.</summary>
    static abstract float Sum(TSelf value);

    /// <summary>The largest lane.</summary>
    static abstract float MaxElement(TSelf value);
}
