using System.Globalization;
using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>How a value is formatted: Python's format specification, such as <c>&gt;10</c> or <c>,.2f</c>.</summary>
internal sealed record FormatSpecification
{
    private const int MostDigits = 1000;

    public string Fill { get; init; } = " ";

    /// <summary>&lt;, &gt;, ^ or = (padding after the sign); null for what is usual for the kind of value.</summary>
    public char? Align { get; init; }

    public char Sign { get; init; } = '-';

    public bool IsAlternate { get; init; }

    public int Width { get; init; }

    /// <summary>What separates groups of three digits; null for nothing.</summary>
    public char? Grouping { get; init; }

    public int? Precision { get; init; }

    public static FormatSpecification Parse(string text, out char? type)
    {
        FormatSpecification result = new();
        int position = 0;
        if (text.Length > 1 && text[1] is '<' or '>' or '^' or '=')
        {
            result = result with { Fill = text[..1], Align = text[1] };
            position = 2;
        }
        else if (text is ['<' or '>' or '^' or '=', ..])
        {
            result = result with { Align = text[position++] };
        }
        if (At(position) is '+' or '-' or ' ') result = result with { Sign = text[position++] };
        if (At(position) == '#') result = result with { IsAlternate = text[position++] == '#' };
        if (At(position) == '0')
        {
            position++;
            if (result.Align is null) result = result with { Fill = "0", Align = '=' };
        }
        result = result with { Width = Number() ?? 0 };
        if (At(position) is ',' or '_') result = result with { Grouping = text[position++] };
        if (At(position) == '.')
        {
            position++;
            result = result with { Precision = Number() ?? throw new JinjaException("Format specifier missing precision") };
        }
        type = position < text.Length ? text[position++] : null;
        return position == text.Length ? result : throw new JinjaException($"Invalid format specifier '{text}'");

        char At(int index) => index < text.Length ? text[index] : '\0';

        int? Number()
        {
            int start = position;
            while (char.IsAsciiDigit(At(position))) position++;
            if (start == position) return null;
            return int.TryParse(text.AsSpan(start, position - start), CultureInfo.InvariantCulture, out int number)
                ? number
                : throw new JinjaException("Too many decimal digits in format string");
        }
    }

    /// <summary>Writes a text, cut to the precision.</summary>
    public void WriteText(StringValue text, MarkedBuilder builder, Rendering rendering)
    {
        if (Align == '=') throw new JinjaException("'=' alignment not allowed in string format specifier");
        if (Precision < text.CodePoints) text = text.Slice(0, text.OffsetOf(Precision.Value), rendering);
        Pad(builder, "", text, Align ?? '<');
    }

    /// <summary>Writes a number.</summary>
    /// <param name="value">The number.</param>
    /// <param name="type">d, x, X, o, b, e, E, f, F, g, G or %; null for the shortest form.</param>
    /// <param name="builder">Where to.</param>
    public void WriteNumber(Value value, char? type, MarkedBuilder builder)
    {
        if (Precision > MostDigits) throw new JinjaException("precision too big");
        string digits = value is IntegerValue integer && type is null or 'd' or 'x' or 'X' or 'o' or 'b' or 'n'
            ? Integer(((IntegerValue)value).Number, type)
            : Float(Operators.AsFloat(value)!.Value, type);
        bool isNegative = digits[0] == '-';
        if (isNegative) digits = digits[1..];
        string prefix = isNegative ? "-" : Sign == '-' ? "" : Sign.ToString();
        if (IsAlternate && type is 'x' or 'X' or 'o' or 'b') prefix += $"0{type}";
        if (Grouping is { } separator) digits = Group(digits, separator);
        Pad(builder, prefix, new StringValue(digits), Align ?? '>');
    }

    private void Pad(MarkedBuilder builder, string prefix, StringValue text, char align)
    {
        int missing = Width - prefix.Length - text.CodePoints;
        int before = missing <= 0 || align == '<' ? 0 : align == '^' ? missing / 2 : missing;
        StringValue fill = new(Fill);
        if (align == '=') builder.Append(prefix);
        builder.AppendRepeated(fill, before);
        if (align != '=') builder.Append(prefix);
        builder.Append(text);
        builder.AppendRepeated(fill, missing - before);
    }

    private static string Integer(BigInteger number, char? type)
    {
        string sign = number < 0 ? "-" : "";
        BigInteger magnitude = BigInteger.Abs(number);
        return sign + type switch
        {
            'x' => Hexadecimal(magnitude),
            'X' => Hexadecimal(magnitude).ToUpperInvariant(),
            'o' => InBase(magnitude, 8),
            'b' => InBase(magnitude, 2),
            _ => magnitude.ToString(CultureInfo.InvariantCulture),
        };
    }

    private static string Hexadecimal(BigInteger magnitude) => magnitude.ToString("x", CultureInfo.InvariantCulture).TrimStart('0') is { Length: > 0 } digits ? digits : "0";

    private static string InBase(BigInteger magnitude, int numberBase)
    {
        string digits = magnitude.IsZero ? "0" : "";
        for (; !magnitude.IsZero; magnitude /= numberBase) digits = (int)(magnitude % numberBase) + digits;
        return digits;
    }

    private string Float(double number, char? type)
    {
        if (!double.IsFinite(number)) return type is 'F' or 'E' or 'G' ? PythonNumbers.Represent(number).ToUpperInvariant() : PythonNumbers.Represent(number);
        int precision = Precision ?? 6;
        return type switch
        {
            'f' or 'F' => Fixed(number, precision),
            '%' => Fixed(number * 100, precision) + "%",
            'e' or 'E' => Exponential(number, precision, type.Value),
            'g' or 'G' or 'n' => General(number, Math.Max(1, precision), type == 'G' ? 'E' : 'e'),
            null when Precision is null => PythonNumbers.Represent(number),
            null => General(number, Math.Max(1, precision), 'e', keepsPoint: true),
            _ => throw new JinjaException($"Unknown format code '{type}' for object of type 'float'"),
        };
    }

    private static string Fixed(double number, int precision) => number.ToString($"F{precision}", CultureInfo.InvariantCulture);

    private static string Exponential(double number, int precision, char letter)
    {
        string text = number.ToString($"{letter}{precision}", CultureInfo.InvariantCulture);
        int exponent = text.IndexOf(letter, StringComparison.Ordinal) + 2;
        return text[..exponent] + text[exponent..].TrimStart('0').PadLeft(2, '0');
    }

    /// <summary>The shorter of both forms, with a number of significant digits.</summary>
    private string General(double number, int precision, char letter, bool keepsPoint = false)
    {
        string scientific = Exponential(number, precision - 1, letter);
        int mark = scientific.IndexOf(letter, StringComparison.Ordinal);
        int exponent = int.Parse(scientific.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        if (exponent < -4 || exponent >= precision) return IsAlternate ? scientific : WithoutZeros(scientific[..mark]) + scientific[mark..];
        string plain = Fixed(number, precision - 1 - exponent);
        if (!IsAlternate) plain = WithoutZeros(plain);
        return keepsPoint && !plain.Contains('.') ? plain + ".0" : plain;
    }

    private static string WithoutZeros(string digits) => digits.Contains('.') ? digits.TrimEnd('0').TrimEnd('.') : digits;

    private static string Group(string digits, char separator)
    {
        int end = digits.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (end < 0) end = digits.Length;
        for (int i = end - 3; i > 0; i -= 3) digits = digits.Insert(i, separator.ToString());
        return digits;
    }
}
