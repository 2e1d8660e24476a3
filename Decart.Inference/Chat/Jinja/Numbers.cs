using System.Globalization;
using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>An integer of any size, within the budget.</summary>
internal sealed class IntegerValue : Value
{
    public IntegerValue(BigInteger value)
    {
        if (value.GetBitLength() > RenderBudget.LargestInteger) throw TooLarge();
        Number = value;
    }

    public override string TypeName => "int";

    public override bool IsTrue => !Number.IsZero;

    public BigInteger Number { get; }

    public static JinjaException TooLarge() => new("an integer is too large", ChatTemplateError.LimitExceeded);

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append(Number.ToString(CultureInfo.InvariantCulture));

    public override Value? Attribute(string name, Rendering rendering) => name switch
    {
        "real" or "numerator" => this,
        "imag" => new IntegerValue(0),
        "denominator" => new IntegerValue(1),
        "bit_length" => new FunctionValue(name, _ => new IntegerValue((long)BigInteger.Abs(Number).GetBitLength())),
        _ => null,
    };
}

/// <summary>A number with a fraction.</summary>
internal sealed class FloatValue(double number) : Value
{
    public override string TypeName => "float";

    public override bool IsTrue => Number != 0;

    public double Number { get; } = number;

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append(PythonNumbers.Represent(Number));

    public override Value? Attribute(string name, Rendering rendering) => name switch
    {
        "real" => this,
        "imag" => new FloatValue(0),
        "is_integer" => new FunctionValue(name, _ => BooleanValue.Of(double.IsInteger(Number))),
        _ => null,
    };
}

/// <summary>Numbers as Python reads and writes them.</summary>
internal static class PythonNumbers
{
    /// <summary>The shortest digits that give the number again.</summary>
    public static string Represent(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        (string sign, string digits, int exponent) = Split(value.ToString("R", CultureInfo.InvariantCulture));
        if (exponent is < -4 or >= 16)
        {
            string fraction = digits.Length > 1 ? $".{digits[1..]}" : "";
            return string.Create(CultureInfo.InvariantCulture, $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}");
        }
        if (exponent < 0) return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        return digits.Length <= exponent + 1
            ? $"{sign}{digits.PadRight(exponent + 1, '0')}.0"
            : $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    /// <summary>Reads what Python's <c>float()</c> reads.</summary>
    public static bool TryParseFloat(string text, out double value)
    {
        value = 0;
        string digits = PythonText.Strip(text);
        string plain = digits.TrimStart('+', '-');
        if (digits.Length - plain.Length <= 1)
        {
            double? named = plain.ToLowerInvariant() switch { "inf" or "infinity" => double.PositiveInfinity, "nan" => double.NaN, _ => null };
            if (named is { } special)
            {
                value = digits[0] == '-' ? -special : special;
                return true;
            }
        }
        return TryRemoveUnderscores(ref digits)
            && double.TryParse(digits, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>Reads what Python's <c>int()</c> reads in a base from 2 to 36; base 0 is the one that the text says.</summary>
    public static bool TryParseInteger(string text, int numberBase, out BigInteger value)
    {
        value = default;
        string digits = PythonText.Strip(text);
        bool negative = digits is ['-', ..];
        if (digits is ['-' or '+', ..]) digits = digits[1..];
        int prefixed = digits is ['0', var letter, _, ..] ? char.ToLowerInvariant(letter) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 } : 0;
        if (prefixed > 0 && numberBase is 0 || prefixed == numberBase && prefixed > 0)
        {
            numberBase = prefixed;
            digits = digits[2..].TrimStart('_');
        }
        if (numberBase == 0) numberBase = 10;
        if (!TryRemoveUnderscores(ref digits) || digits.Length == 0) return false;
        if (digits.Length > RenderBudget.LargestInteger) throw IntegerValue.TooLarge();
        foreach (char character in digits)
        {
            int digit = char.IsAsciiDigit(character) ? character - '0' : char.IsAsciiLetter(character) ? char.ToLowerInvariant(character) - 'a' + 10 : int.MaxValue;
            if (digit >= numberBase && CharUnicodeInfo.GetDecimalDigitValue(character) is >= 0 and var other) digit = other;
            if (digit >= numberBase) return false;
            value = (value * numberBase) + digit;
        }
        if (negative) value = -value;
        return true;
    }

    /// <summary>Underscores may stand between two digits.</summary>
    private static bool TryRemoveUnderscores(ref string digits)
    {
        if (!digits.Contains('_')) return true;
        for (int i = 0; i < digits.Length; i++)
        {
            if (digits[i] == '_' && (i == 0 || i == digits.Length - 1 || !char.IsAsciiLetterOrDigit(digits[i - 1]) || !char.IsAsciiLetterOrDigit(digits[i + 1]))) return false;
        }
        digits = digits.Replace("_", "", StringComparison.Ordinal);
        return true;
    }

    /// <summary>The sign, the digits without zeros around them, and the exponent of the first digit.</summary>
    private static (string Sign, string Digits, int Exponent) Split(string number)
    {
        string sign = number[0] == '-' ? "-" : "";
        string mantissa = number[sign.Length..];
        int exponent = 0;
        if (mantissa.IndexOf('E') is >= 0 and var letter)
        {
            exponent = int.Parse(mantissa.AsSpan(letter + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            mantissa = mantissa[..letter];
        }
        int point = mantissa.IndexOf('.');
        if (point < 0) point = mantissa.Length;
        string all = mantissa.Replace(".", "", StringComparison.Ordinal);
        string digits = all.TrimStart('0');
        if (digits.Length == 0) return (sign, "0", 0);
        exponent += point - 1 - (all.Length - digits.Length);
        return (sign, digits.TrimEnd('0') is { Length: > 0 } significant ? significant : "0", exponent);
    }
}
