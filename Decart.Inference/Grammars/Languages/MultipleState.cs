using System.Numerics;

namespace Decart.Inference.Grammars.Languages;

/// <summary>
/// A decimal number as far as it has been read, as the remainder that decides whether it is a multiple of Divisor / 10^Digits.
/// </summary>
/// <param name="Divisor">From 1 on.</param>
/// <param name="Digits">Digits after the point that can matter.</param>
/// <param name="Remainder">Of the digits so far, read as one whole number.</param>
/// <param name="Fraction">How many of them stand after the point; -1 before it.</param>
internal readonly record struct MultipleState(long Divisor, int Digits, long Remainder, int Fraction)
{
    private const int BeforePoint = -1;

    /// <summary>The most that a divisor can be: the automaton has that many states.</summary>
    public const long MaxDivisor = 1_000;

    public static MultipleState Start(long divisor, int digits) => new(divisor, digits, 0, BeforePoint);

    /// <summary>Whether the number so far is a multiple.</summary>
    public bool IsMultiple => BigInteger.ModPow(10, Digits - Math.Max(Fraction, 0), Divisor) * Remainder % Divisor == 0;

    /// <summary>The state after a byte, or null where no multiple goes on like this.</summary>
    public MultipleState? After(byte value) => value switch
    {
        (byte)'-' => this,
        (byte)'.' => this with { Fraction = 0 },
        >= (byte)'0' and <= (byte)'9' => AfterDigit(value - '0'),
        _ => null,
    };

    private MultipleState? AfterDigit(int digit)
    {
        if (Fraction == Digits) return digit == 0 ? this : null;
        return this with { Remainder = ((Remainder * 10) + digit) % Divisor, Fraction = Fraction == BeforePoint ? BeforePoint : Fraction + 1 };
    }
}
