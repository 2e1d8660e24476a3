using System.Text;

namespace Decart.Inference.Grammars.Languages;

/// <summary>Unicode characters as the bytes of UTF-8; only well-formed sequences.</summary>
internal static class Utf8
{
    private const int ContinuationBits = 6;

    private static readonly int[] LastOfLength = [0x7F, 0x7FF, 0xFFFF, 0x10FFFF];

    /// <summary>The bytes that occur in it.</summary>
    public static ByteSet Bytes => ByteSet.Of(0, 0xBF) | ByteSet.Of(0xC2, 0xF4);

    /// <summary>The texts of one character of a set.</summary>
    public static Language Character(LanguageTable table, CodePointSet set)
    {
        List<Language> sequences = [];
        foreach ((int from, int to) in set.Ranges)
        {
            int first = from;
            for (int length = 1; length <= LastOfLength.Length; length++)
            {
                int last = Math.Min(to, LastOfLength[length - 1]);
                if (first > last) continue;
                AddRange(table, Encode(first), Encode(last), sequences);
                first = last + 1;
            }
        }
        return table.Union(sequences);
    }

    /// <summary>One text.</summary>
    public static Language Text(LanguageTable table, string text) => table.Literal(Encoding.UTF8.GetBytes(text));

    private static byte[] Encode(int codePoint) => Encoding.UTF8.GetBytes(char.ConvertFromUtf32(codePoint));

    /// <summary>Splits a range of sequences of one length into products of ranges of bytes.</summary>
    private static void AddRange(LanguageTable table, byte[] first, byte[] last, List<Language> sequences)
    {
        int differs = 0;
        while (differs < first.Length - 1 && first[differs] == last[differs]) differs++;
        bool startsLow = first.AsSpan(differs + 1).IndexOfAnyExcept((byte)0x80) < 0, endsHigh = last.AsSpan(differs + 1).IndexOfAnyExcept((byte)0xBF) < 0;
        if (startsLow && endsHigh)
        {
            Language sequence = table.EmptyText;
            for (int i = first.Length - 1; i >= 0; i--) sequence = table.Concatenate(table.Bytes(ByteSet.Of(first[i], last[i])), sequence);
            sequences.Add(sequence);
            return;
        }
        // The rest of the first block, then the whole blocks and what there is of the last.
        int block = ContinuationBits * (first.Length - 1 - differs);
        int from = Decode(first), to = Decode(last);
        int split = startsLow ? to >> block << block : ((from >> block) + 1) << block;
        AddRange(table, first, Encode(split - 1), sequences);
        AddRange(table, Encode(split), last, sequences);
    }

    private static int Decode(byte[] bytes)
    {
        Rune.DecodeFromUtf8(bytes, out Rune rune, out _);
        return rune.Value;
    }
}
