using System.Globalization;
using System.Numerics;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>
/// Numbers within bounds, exactly, as decimal digits without an exponent. Integers without a bound are those of 64 bits with a sign.
/// </summary>
internal sealed class NumberLanguage(LanguageTable table)
{
    /// <summary>Digits before and after the point where bounds set no other limit.</summary>
    private const int IntegerDigits = 20, FractionDigits = 20;

    private readonly Language _digit = table.Bytes(ByteSet.Of((byte)'0', (byte)'9'));
    private readonly Language _leading = table.Bytes(ByteSet.Of((byte)'1', (byte)'9'));
    private readonly Language _minus = table.Literal("-"u8);
    private readonly Language _point = table.Literal("."u8);
    private readonly Language _zero = table.Literal("0"u8);

    /// <summary>Integers within bounds.</summary>
    public Language Integers(NumberBounds bounds)
    {
        BigInteger? min = bounds.Min is { } low ? (low.IsExclusive ? low.Value.Floor() + 1 : low.Value.Ceiling()) : null;
        BigInteger? max = bounds.Max is { } high ? (high.IsExclusive ? high.Value.Ceiling() - 1 : high.Value.Floor()) : null;
        // A bound beyond those of 64 bits brings its own order of magnitude.
        BigInteger least = min ?? BigInteger.Min(long.MinValue, (max ?? 0) * 10), most = max ?? BigInteger.Max(long.MaxValue, (min ?? 0) * 10);
        return WithMultiples(Integers(least, most), bounds);
    }

    /// <summary>Decimal numbers within bounds.</summary>
    public Language Decimals(NumberBounds bounds)
    {
        Language digits = Decimal(Math.Max(Size(bounds.Min), Size(bounds.Max)));
        Language language = table.Concatenate(table.Optional(_minus), digits);
        if (bounds.IsFraction) language = table.Intersect(language, table.Complement(WithoutFraction()));
        if (bounds.Min is { } min) language = table.Intersect(language, AtLeast(min));
        if (bounds.Max is { } max) language = table.Intersect(language, Negated(AtLeast(new NumberBound(max.Value.Negate(), max.IsExclusive))));
        return WithMultiples(language, bounds);

        static int Size(NumberBound? bound) => bound is { } its ? its.Value.Scale : 0;
    }

    private Language WithMultiples(Language language, NumberBounds bounds)
    {
        foreach (DecimalNumber divisor in bounds.Multiples)
        {
            if (divisor is { Digits.IsOne: true, Scale: 0 })
            {
                if (!bounds.IsInteger) language = table.Intersect(language, WithoutFraction());
                continue;
            }
            language = table.Intersect(language, table.Multiples((long)divisor.Digits, divisor.Scale));
        }
        return language;
    }

    /// <summary>Numbers whose digits after the point, if there are any, are zeros.</summary>
    private Language WithoutFraction() =>
        table.Concatenate(table.Optional(_minus), table.Repeat(_digit, 1), table.Optional(table.Concatenate(_point, table.Repeat(_zero, 1))));

    private Language Integers(BigInteger min, BigInteger max)
    {
        if (min > max) return table.Nothing;
        Language language = table.Nothing;
        if (max.Sign >= 0) language = Natural(BigInteger.Max(min, 0), max);
        return min.Sign < 0 ? table.Union(language, table.Concatenate(_minus, Natural(BigInteger.Max(1, -max), -min))) : language;
    }

    /// <summary>Integers from one that is not negative to another.</summary>
    private Language Natural(BigInteger min, BigInteger max)
    {
        if (min > max) return table.Nothing;
        string low = Digits(min), high = Digits(max);
        if (low.Length == high.Length) return SameLength(low, high);
        Language language = table.Union(From(low), UpTo(high, isFirst: true));
        int between = high.Length - low.Length - 1;
        return between == 0 ? language : table.Union(language, table.Concatenate(_leading, table.Repeat(_digit, low.Length, high.Length - 2)));
    }

    private Language SameLength(ReadOnlySpan<char> low, ReadOnlySpan<char> high)
    {
        if (low.IsEmpty) return table.EmptyText;
        if (low[0] == high[0]) return table.Concatenate(Digit(low[0], low[0]), SameLength(low[1..], high[1..]));
        return table.Union(
            table.Concatenate(Digit(low[0], low[0]), From(low[1..])),
            table.Concatenate(Digit((char)(low[0] + 1), (char)(high[0] - 1)), Any(low.Length - 1)),
            table.Concatenate(Digit(high[0], high[0]), UpTo(high[1..], isFirst: false)));
    }

    /// <summary>Digits that are as many and not less.</summary>
    private Language From(ReadOnlySpan<char> low)
    {
        Language language = table.EmptyText;
        for (int i = low.Length - 1; i >= 0; i--)
        {
            language = table.Union(
                table.Concatenate(Digit(low[i], low[i]), language),
                table.Concatenate(Digit((char)(low[i] + 1), '9'), Any(low.Length - 1 - i)));
        }
        return language;
    }

    /// <summary>Digits that are as many and not more.</summary>
    private Language UpTo(ReadOnlySpan<char> high, bool isFirst)
    {
        Language language = table.EmptyText;
        for (int i = high.Length - 1; i >= 0; i--)
        {
            char least = isFirst && i == 0 && high.Length > 1 ? '1' : '0';
            language = table.Union(
                table.Concatenate(Digit(high[i], high[i]), language),
                table.Concatenate(Digit(least, (char)(high[i] - 1)), Any(high.Length - 1 - i)));
        }
        return language;
    }

    private Language Any(int digits) => table.Repeat(_digit, digits, digits);

    private Language Digit(char from, char to) => from > to ? table.Nothing : table.Bytes(ByteSet.Of((byte)from, (byte)to));

    private static string Digits(BigInteger number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Decimal numbers that are not negative.</summary>
    private Language Decimal(int boundDigits)
    {
        Language integer = table.Union(_zero, table.Concatenate(_leading, table.Repeat(_digit, 0)));
        return table.Concatenate(integer, table.Optional(table.Concatenate(_point, table.Repeat(_digit, 1, Math.Max(FractionDigits, boundDigits + 1)))));
    }

    /// <summary>Numbers with the other sign; zero has none.</summary>
    private Language Negated(Language language)
    {
        Language positive = table.Intersect(language, table.Concatenate(_digit, table.Anything));
        Language negative = table.After(language, (byte)'-');
        return table.Union(negative, table.Concatenate(_minus, positive), table.Intersect(language, ZeroDecimal()));
    }

    private Language ZeroDecimal() => table.Concatenate(_zero, table.Optional(table.Concatenate(_point, table.Repeat(_zero, 1))));

    private Language AtLeast(NumberBound bound)
    {
        BigInteger limit = BigInteger.Max(BigInteger.Pow(10, IntegerDigits), BigInteger.Abs(bound.Value.Floor()) * 10);
        Language any = table.Union(NotBelow(DecimalNumber.Zero, isExclusive: false, limit));
        if (bound.Value.Sign > 0 || (bound.Value.Sign == 0 && bound.IsExclusive)) return NotBelow(bound.Value, bound.IsExclusive, limit);
        if (bound.Value.Sign == 0) return any;
        Language notZero = NotBelow(DecimalNumber.Zero, isExclusive: true, limit);
        return table.Union(any, table.Concatenate(_minus, table.Intersect(notZero, NotAbove(bound.Value.Negate(), bound.IsExclusive))));
    }

    /// <summary>Numbers without a sign from a bound on, which is not negative.</summary>
    private Language NotBelow(DecimalNumber bound, bool isExclusive, BigInteger limit)
    {
        BigInteger integer = bound.Floor();
        Language larger = table.Concatenate(Natural(integer + 1, limit), AnyFraction());
        string fraction = bound.Fraction();
        Language after = isExclusive ? SomeNonZero() : table.Repeat(_digit, 0);
        Language more = after;
        for (int i = fraction.Length - 1; i >= 0; i--)
        {
            more = table.Union(
                table.Concatenate(Digit(fraction[i], fraction[i]), more),
                table.Concatenate(Digit((char)(fraction[i] + 1), '9'), table.Repeat(_digit, 0)));
        }
        Language withFraction = table.Concatenate(_point, table.Intersect(more, table.Repeat(_digit, 1)));
        Language same = fraction.Length == 0 && !isExclusive ? table.Optional(withFraction) : withFraction;
        return table.Union(larger, table.Concatenate(table.Literal(Ascii(integer)), same));
    }

    /// <summary>Numbers without a sign up to a bound, which is not negative.</summary>
    private Language NotAbove(DecimalNumber bound, bool isExclusive)
    {
        BigInteger integer = bound.Floor();
        Language smaller = table.Concatenate(Natural(0, integer - 1), AnyFraction());
        string fraction = bound.Fraction();
        Language less = isExclusive ? table.Nothing : table.Repeat(_zero, 0);
        for (int i = fraction.Length - 1; i >= 0; i--)
        {
            less = table.Union(
                table.EmptyText,
                table.Concatenate(Digit(fraction[i], fraction[i]), less),
                table.Concatenate(Digit('0', (char)(fraction[i] - 1)), table.Repeat(_digit, 0)));
        }
        Language withFraction = table.Concatenate(_point, table.Intersect(less, table.Repeat(_digit, 1)));
        Language same = isExclusive && fraction.Length == 0 ? table.Nothing : table.Optional(withFraction);
        return table.Union(smaller, table.Concatenate(table.Literal(Ascii(integer)), same));
    }

    private Language AnyFraction() => table.Optional(table.Concatenate(_point, table.Repeat(_digit, 1)));

    private Language SomeNonZero() => table.Concatenate(table.Repeat(_zero, 0), _leading, table.Repeat(_digit, 0));

    private static byte[] Ascii(BigInteger number) => System.Text.Encoding.ASCII.GetBytes(Digits(number));
}
