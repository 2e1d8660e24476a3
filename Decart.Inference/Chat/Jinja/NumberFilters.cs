using System.Globalization;
using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>The filters that make numbers.</summary>
internal static class NumberFilters
{
    private const int MostDigits = 400;

    public static IEnumerable<(Signature Signature, Filter Body)> Table() =>
    [
        (new("int", "default?", "base?"), ToInteger),
        (new("float", "default?"), ToFloat),
        (new("abs"), static (value, _, _) => Absolute(value)),
        (new("round", "precision?", "method?"), Round),
    ];

    private static Value ToInteger(Value value, Value?[] arguments, Rendering rendering)
    {
        value.RequireDefined();
        Value missing = arguments[0] ?? new IntegerValue(0);
        if (Operators.AsInteger(value) is { } integer) return new IntegerValue(integer);
        if (value is FloatValue number) return double.IsFinite(number.Number) ? new IntegerValue(new BigInteger(number.Number)) : missing;
        if (value is not StringValue text) return missing;
        if (PythonNumbers.TryParseInteger(text.Text, TextFilters.Int(arguments[1], 10), out BigInteger parsed)) return new IntegerValue(parsed);
        return PythonNumbers.TryParseFloat(text.Text, out double fraction) && double.IsFinite(fraction) ? new IntegerValue(new BigInteger(fraction)) : missing;
    }

    private static Value ToFloat(Value value, Value?[] arguments, Rendering rendering)
    {
        value.RequireDefined();
        if (Operators.AsFloat(value) is { } number) return new FloatValue(number);
        return value is StringValue text && PythonNumbers.TryParseFloat(text.Text, out double parsed) ? new FloatValue(parsed) : arguments[0] ?? new FloatValue(0);
    }

    private static Value Absolute(Value value)
    {
        value.RequireDefined();
        return Operators.AsInteger(value) is { } integer ? new IntegerValue(BigInteger.Abs(integer))
            : value is FloatValue number ? new FloatValue(Math.Abs(number.Number))
            : throw new JinjaException($"bad operand type for abs(): '{value.TypeName}'");
    }

    private static Value Round(Value value, Value?[] arguments, Rendering rendering)
    {
        value.RequireDefined();
        int precision = TextFilters.Int(arguments[0], 0);
        string method = arguments[1] is { } given ? StringMethods.RequireText(given, "round").Text : "common";
        if (method is not ("common" or "ceil" or "floor")) throw new JinjaException("method must be common, ceil or floor");
        if (Operators.AsFloat(value) is not { } number) throw new JinjaException($"type {value.TypeName} doesn't define __round__ method");
        if (method != "common")
        {
            double scale = Math.Pow(10, precision), scaled = number * scale;
            return new FloatValue((method == "ceil" ? Math.Ceiling(scaled) : Math.Floor(scaled)) / scale);
        }
        if (Operators.AsInteger(value) is { } integer)
        {
            if (precision >= 0) return new IntegerValue(integer);
            return new IntegerValue(precision < -MostDigits ? 0 : Rounded(integer, BigInteger.Pow(10, -precision)) * BigInteger.Pow(10, -precision));
        }
        return new FloatValue(Math.Abs(precision) > MostDigits || !double.IsFinite(number) ? precision < 0 ? 0 : number : Round(number, precision));
    }

    /// <summary>Rounds what a number exactly is, halves to the even digit.</summary>
    private static double Round(double number, int precision)
    {
        long bits = BitConverter.DoubleToInt64Bits(number);
        int exponent = (int)((bits >> 52) & 0x7FF);
        BigInteger mantissa = (bits & 0xF_FFFF_FFFF_FFFF) | (exponent == 0 ? 0 : 1L << 52);
        int power = Math.Max(exponent, 1) - 1075;
        BigInteger numerator = mantissa * BigInteger.Pow(2, Math.Max(power, 0)) * BigInteger.Pow(10, Math.Max(precision, 0));
        BigInteger denominator = BigInteger.Pow(2, Math.Max(-power, 0)) * BigInteger.Pow(10, Math.Max(-precision, 0));
        string digits = string.Create(CultureInfo.InvariantCulture, $"{Rounded(numerator, denominator)}E{-precision}");
        return Math.CopySign(double.Parse(digits, CultureInfo.InvariantCulture), number);
    }

    private static BigInteger Rounded(BigInteger numerator, BigInteger denominator)
    {
        BigInteger quotient = BigInteger.DivRem(BigInteger.Abs(numerator), denominator, out BigInteger remainder);
        int half = (2 * remainder).CompareTo(denominator);
        if (half > 0 || (half == 0 && !quotient.IsEven)) quotient++;
        return numerator < 0 ? -quotient : quotient;
    }
}
