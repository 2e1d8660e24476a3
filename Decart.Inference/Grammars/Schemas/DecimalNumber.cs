using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>A decimal number of any size, exactly: Digits / 10^Scale.</summary>
internal readonly record struct DecimalNumber(BigInteger Digits, int Scale) : IComparable<DecimalNumber>
{
    /// <summary>Digits that a number in a schema may have before or after the point.</summary>
    private const int MaxDigits = 400;

    public static DecimalNumber Zero => new(0, 0);

    public bool IsInteger => Scale == 0;

    public int Sign => Digits.Sign;

    /// <summary>Reads a number as JSON writes it; null where it has too many digits.</summary>
    public static DecimalNumber? Read(JsonElement number)
    {
        string text = number.GetRawText();
        int exponentAt = text.AsSpan().IndexOfAny('e', 'E');
        int exponent = 0;
        if (exponentAt >= 0 && !int.TryParse(text.AsSpan(exponentAt + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent)) return null;
        string mantissa = exponentAt >= 0 ? text[..exponentAt] : text;
        int point = mantissa.IndexOf('.', StringComparison.Ordinal);
        int scale = point < 0 ? 0 : mantissa.Length - point - 1;
        if (mantissa.Length > MaxDigits || Math.Abs((long)exponent) > MaxDigits) return null;
        BigInteger digits = BigInteger.Parse(mantissa.Replace(".", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        return Normalise(digits, scale - exponent);
    }

    public DecimalNumber Negate() => this with { Digits = -Digits };

    /// <summary>The largest integer that is not above it.</summary>
    public BigInteger Floor()
    {
        BigInteger quotient = BigInteger.DivRem(Digits, BigInteger.Pow(10, Scale), out BigInteger remainder);
        return remainder.Sign < 0 ? quotient - 1 : quotient;
    }

    /// <summary>The smallest integer that is not below it.</summary>
    public BigInteger Ceiling() => -Negate().Floor();

    /// <summary>The digits after the point of a number that is not negative, without zeros at the end.</summary>
    public string Fraction()
    {
        if (Scale == 0) return "";
        BigInteger fraction = BigInteger.Remainder(Digits, BigInteger.Pow(10, Scale));
        return fraction.ToString(CultureInfo.InvariantCulture).PadLeft(Scale, '0');
    }

    public bool IsMultipleOf(DecimalNumber other)
    {
        int scale = Math.Max(Scale, other.Scale);
        return BigInteger.Remainder(At(scale), other.At(scale)).IsZero;
    }

    public int CompareTo(DecimalNumber other)
    {
        int scale = Math.Max(Scale, other.Scale);
        return At(scale).CompareTo(other.At(scale));
    }

    private BigInteger At(int scale) => Digits * BigInteger.Pow(10, scale - Scale);

    private static DecimalNumber Normalise(BigInteger digits, int scale)
    {
        if (scale < 0) return new DecimalNumber(digits * BigInteger.Pow(10, -scale), 0);
        while (scale > 0 && (digits % 10).IsZero)
        {
            digits /= 10;
            scale--;
        }
        return new DecimalNumber(digits, scale);
    }
}
