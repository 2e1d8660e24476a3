using System.Numerics;

namespace Decart.Inference.Grammars.Languages;

/// <summary>A set of bytes.</summary>
internal readonly record struct ByteSet(ulong First, ulong Second, ulong Third, ulong Fourth)
{
    /// <summary>A page (<see cref="Page"/>) of which it has all bytes.</summary>
    public const int FullPage = 0xFFFF;

    private const int WordBits = 64;

    public static ByteSet None => default;

    public static ByteSet All { get; } = ~None;

    public bool IsEmpty => (First | Second | Third | Fourth) == 0;

    public int Count => BitOperations.PopCount(First) + BitOperations.PopCount(Second) + BitOperations.PopCount(Third) + BitOperations.PopCount(Fourth);

    /// <summary>The smallest byte of a set that is not empty.</summary>
    public byte Smallest =>
        (byte)(First != 0 ? BitOperations.TrailingZeroCount(First)
            : Second != 0 ? WordBits + BitOperations.TrailingZeroCount(Second)
            : Third != 0 ? (2 * WordBits) + BitOperations.TrailingZeroCount(Third)
            : (3 * WordBits) + BitOperations.TrailingZeroCount(Fourth));

    public static ByteSet Of(byte value) => Of(value, value);

    /// <summary>The bytes from one to another, both included.</summary>
    public static ByteSet Of(byte from, byte to) => new(Word(from, to, 0), Word(from, to, 1), Word(from, to, 2), Word(from, to, 3));

    public static ByteSet Of(ReadOnlySpan<byte> values)
    {
        ByteSet set = None;
        foreach (byte value in values) set |= Of(value);
        return set;
    }

    /// <summary>Sixteen bits: which of as many bytes, from a multiple of that number on, it has.</summary>
    public int Page(int page)
    {
        ulong word = (page >> 2) switch { 0 => First, 1 => Second, 2 => Third, _ => Fourth };
        return (int)(word >> ((page & 3) * 16) & FullPage);
    }

    public bool Contains(byte value)
    {
        ulong word = (value >> 6) switch { 0 => First, 1 => Second, 2 => Third, _ => Fourth };
        return (word >> (value & (WordBits - 1)) & 1) != 0;
    }

    public static ByteSet operator |(ByteSet left, ByteSet right) =>
        new(left.First | right.First, left.Second | right.Second, left.Third | right.Third, left.Fourth | right.Fourth);

    public static ByteSet operator &(ByteSet left, ByteSet right) =>
        new(left.First & right.First, left.Second & right.Second, left.Third & right.Third, left.Fourth & right.Fourth);

    public static ByteSet operator ~(ByteSet set) => new(~set.First, ~set.Second, ~set.Third, ~set.Fourth);

    private static ulong Word(byte from, byte to, int word)
    {
        int low = Math.Max(from - (word * WordBits), 0), high = Math.Min(to - (word * WordBits), WordBits - 1);
        return low > high ? 0 : ulong.MaxValue >> (WordBits - 1 - high) & ulong.MaxValue << low;
    }
}
