using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>Reading and classifying the code points of UTF-16 text, also beyond the basic multilingual plane.</summary>
internal static class CodePoints
{
    private const byte LetterClass = 1, NumberClass = 2, SpaceClass = 4, OtherClass = 8;

    private static readonly byte[] Classes = ClassifyBasicPlane();

    /// <summary>The code point at a position; a lone surrogate stands for itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int At(ReadOnlySpan<char> text, int position, out int length)
    {
        char first = text[position];
        length = 1;
        if (!char.IsHighSurrogate(first) || position + 1 >= text.Length || !char.IsLowSurrogate(text[position + 1])) return first;
        length = 2;
        return char.ConvertToUtf32(first, text[position + 1]);
    }

    /// <summary>\p{L}</summary>
    public static bool IsLetter(int codePoint) => ClassOf(codePoint) == LetterClass;

    /// <summary>\p{N}</summary>
    public static bool IsNumber(int codePoint) => ClassOf(codePoint) == NumberClass;

    /// <summary>White space as Unicode defines it.</summary>
    public static bool IsWhiteSpace(int codePoint) => ClassOf(codePoint) == SpaceClass;

    /// <summary>Neither a letter nor a number nor white space.</summary>
    public static bool IsOther(int codePoint) => ClassOf(codePoint) == OtherClass;

    /// <summary>ASCII punctuation and symbols, and \p{P}.</summary>
    public static bool IsPunctuation(int codePoint) => codePoint < 128
        ? codePoint is >= '!' and <= '/' or >= ':' and <= '@' or >= '[' and <= '`' or >= '{' and <= '~'
        : CharUnicodeInfo.GetUnicodeCategory(codePoint) is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation;

    /// <summary>\p{M}</summary>
    public static bool IsMark(int codePoint) =>
        CharUnicodeInfo.GetUnicodeCategory(codePoint) is >= UnicodeCategory.NonSpacingMark and <= UnicodeCategory.EnclosingMark;

    /// <summary>A character of a word: \w.</summary>
    public static bool IsWord(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint)
        is <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation || codePoint is 0x200C or 0x200D;

    /// <summary>The text with each lone surrogate replaced by U+FFFD; the text itself when there are none.</summary>
    public static string WellFormed(string text)
    {
        int surrogate = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF');
        if (surrogate < 0) return text;
        StringBuilder? replaced = null;
        for (int position = surrogate; position < text.Length; position++)
        {
            if (!char.IsSurrogate(text[position])) continue;
            if (position + 1 < text.Length && char.IsSurrogatePair(text[position], text[position + 1])) position++;
            else (replaced ??= new StringBuilder(text))[position] = '\uFFFD';
        }
        return replaced?.ToString() ?? text;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte ClassOf(int codePoint) => codePoint < 0x10000 ? Classes[codePoint] : Classify(codePoint);

    private static byte[] ClassifyBasicPlane()
    {
        byte[] classes = new byte[0x10000];
        for (int codePoint = 0; codePoint < classes.Length; codePoint++) classes[codePoint] = Classify(codePoint);
        return classes;
    }

    private static byte Classify(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint) switch
    {
        <= UnicodeCategory.OtherLetter => LetterClass,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => NumberClass,
        UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator => SpaceClass,
        _ => codePoint is >= '\t' and <= '\r' or 0x85 ? SpaceClass : OtherClass,
    };
}
