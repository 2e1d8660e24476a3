namespace Decart.Inference.Memory;

/// <summary>
/// Numbers as 8-bit floats (e4m3) times a scale that some of them share, of a head of keys or values or of a row of activations: the least power of two for which none of them exceeds
/// the largest code. What they stand for is then a half, exactly, and whatever kernels do with it they compute with the same numbers. As floats lose the same few bits at any scale, no
/// other would be more accurate.
/// </summary>
/// <remarks>
/// The scale of numbers one of which is none is none either. Numbers beyond <see cref="Largest"/> become that. All functions work on bits, for kernels of any device.
/// </remarks>
internal static class Fp8Codes
{
    /// <summary>The largest number that a code stands for, and that code.</summary>
    public const int LargestNumber = 448, LargestCode = 0x7E;

    /// <summary>Exponents of scales, so that those are normal halves and each of them times any code is a half.</summary>
    public const int LeastExponent = -14, LargestExponent = 7;

    /// <summary>The largest element.</summary>
    public const float Largest = LargestNumber << LargestExponent;

    /// <summary>The bits of a scale that is not a number.</summary>
    public const int NotANumber = 0x7E00;

    private const int Bias = 127, MantissaBits = 23, HalfBias = 15, HalfMantissaBits = 10, CodeBias = 7, CodeMantissaBits = 3;

    /// <summary>The scale of numbers.</summary>
    /// <param name="largest">The largest magnitude, a float32; one that is not a number exceeds all others.</param>
    /// <returns>A half.</returns>
    public static int ScaleOf(int largest)
    {
        const int Infinity = 0x7F80_0000, BeyondLargestCode = 0x1F_FFFF, ExponentOfLargestCode = 8;
        if (largest > Infinity) return NotANumber;
        // The largest number is 1.75 * 2^8: a larger mantissa carries.
        int exponent = ((largest + BeyondLargestCode) >> MantissaBits) - Bias - ExponentOfLargestCode;
        exponent = exponent < LeastExponent ? LeastExponent : exponent > LargestExponent ? LargestExponent : exponent;
        return (exponent + HalfBias) << HalfMantissaBits;
    }

    /// <summary>1 / scale, or some number where the scale is none.</summary>
    /// <param name="scale">As <see cref="ScaleOf"/> has it.</param>
    /// <returns>A float32.</returns>
    public static int InverseOf(int scale) => (Bias + HalfBias - (scale >> HalfMantissaBits)) << MantissaBits;

    /// <summary>The code next to a number, of two the even one; the largest beyond that.</summary>
    /// <param name="number">A float32.</param>
    public static int Round(int number)
    {
        const int LeastNormal = (Bias + 1 - CodeBias) << MantissaBits, LargestBits = (Bias << MantissaBits) + (8 << MantissaBits) + 0x60_0000, MostDropped = MantissaBits + 3;
        int magnitude = number & int.MaxValue, sign = (number >> 24) & 0x80, dropped = MantissaBits - CodeMantissaBits, mantissa = magnitude;
        if (magnitude >= LargestBits) return sign | LargestCode;
        if (magnitude < LeastNormal)
        {
            // Subnormal codes count 2^-9.
            dropped += ((LeastNormal - 1) >> MantissaBits) + 1 - (magnitude >> MantissaBits);
            dropped = dropped < MostDropped ? dropped : MostDropped;
            mantissa = (magnitude & ((1 << MantissaBits) - 1)) | (1 << MantissaBits);
        }
        int rounded = (mantissa + (1 << (dropped - 1)) - 1 + ((mantissa >> dropped) & 1)) >> dropped;
        return sign | (magnitude < LeastNormal ? rounded : rounded - ((Bias - CodeBias) << CodeMantissaBits));
    }
}
