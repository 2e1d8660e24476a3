using System.Numerics;

namespace Decart.Inference.Grammars.Productions;

/// <summary>Some of an object's known members, by their index. Immutable.</summary>
internal readonly struct MemberSet
{
    private const int WordBits = 64;

    private readonly ulong[] _words;

    private MemberSet(ulong[] words) => _words = words;

    public int Count
    {
        get
        {
            int count = 0;
            foreach (ulong word in _words) count += BitOperations.PopCount(word);
            return count;
        }
    }

    /// <summary>The members of a number of them for which something holds.</summary>
    public static MemberSet Where(int members, Predicate<int> holds)
    {
        ulong[] words = new ulong[(members + WordBits - 1) / WordBits];
        for (int i = 0; i < members; i++)
        {
            if (holds(i)) words[i / WordBits] |= 1UL << (i % WordBits);
        }
        return new MemberSet(words);
    }

    public bool Has(int member) => (_words[member / WordBits] >> (member % WordBits) & 1) != 0;

    /// <summary>Whether it has one of those from an index up to another, which is excluded.</summary>
    public bool HasAny(int from, int to) => Next(from) < to;

    /// <summary>The first member from an index on; <see cref="int.MaxValue"/> where there is none.</summary>
    public int Next(int from)
    {
        int index = from / WordBits;
        if (index >= _words.Length) return int.MaxValue;
        ulong word = _words[index] & (ulong.MaxValue << (from % WordBits));
        while (word == 0)
        {
            if (++index == _words.Length) return int.MaxValue;
            word = _words[index];
        }
        return (index * WordBits) + BitOperations.TrailingZeroCount(word);
    }

    public MemberSet With(int member)
    {
        ulong[] words = [.. _words];
        words[member / WordBits] |= 1UL << (member % WordBits);
        return new MemberSet(words);
    }

    public MemberSet Without(MemberSet others)
    {
        ulong[] words = [.. _words];
        for (int i = 0; i < words.Length; i++) words[i] &= ~others._words[i];
        return new MemberSet(words);
    }

    public MemberSet And(MemberSet others)
    {
        ulong[] words = [.. _words];
        for (int i = 0; i < words.Length; i++) words[i] &= others._words[i];
        return new MemberSet(words);
    }
}
