using System.Diagnostics;

namespace Decart.Inference.Tokenization;

/// <summary>
/// GPT-2's words, scanned by hand:
/// <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>.
/// </summary>
internal sealed class Gpt2Pattern : ITextPattern
{
    public const string Expression = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    public static Gpt2Pattern Instance { get; } = new();

    public void Match(ReadOnlySpan<char> text, List<Piece> matches, EncodingBudget budget)
    {
        for (int start = 0; start < text.Length;)
        {
            int end = WordEnd(text, start);
            matches.Add(new Piece(start, end - start));
            start = end;
        }
    }

    private static int WordEnd(ReadOnlySpan<char> text, int start)
    {
        if (text[start] == '\'' && WordScan.ContractionLength(text[start..], ignoreCase: false) is > 0 and int length) return start + length;
        int wordStart = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        int codePoint = CodePoints.At(text, wordStart, out _);
        if (CodePoints.IsLetter(codePoint)) return WordScan.SkipLetters(text, wordStart);
        if (CodePoints.IsNumber(codePoint)) return WordScan.SkipNumbers(text, wordStart, int.MaxValue);
        return CodePoints.IsOther(codePoint) ? WordScan.SkipOther(text, wordStart) : WordScan.WhiteSpaceEnd(text, start, WordScan.SkipWhiteSpace(text, start));
    }
}

/// <summary>
/// The words of cl100k and its descendants (Llama 3, Qwen 2), scanned by hand:
/// <c>(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+</c>,
/// where the most digits in a piece vary.
/// </summary>
/// <param name="mostDigits">The most digits in a piece.</param>
internal sealed class Cl100kPattern(int mostDigits) : ITextPattern
{
    public const string ThreeDigits =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string SingleDigits =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public void Match(ReadOnlySpan<char> text, List<Piece> matches, EncodingBudget budget)
    {
        for (int start = 0; start < text.Length;)
        {
            int end = WordEnd(text, start);
            Debug.Assert(end > start);
            matches.Add(new Piece(start, end - start));
            start = end;
        }
    }

    private int WordEnd(ReadOnlySpan<char> text, int start)
    {
        if (text[start] == '\'' && WordScan.ContractionLength(text[start..], ignoreCase: true) is > 0 and int length) return start + length;
        int first = CodePoints.At(text, start, out int firstLength);
        if (CodePoints.IsLetter(first)) return WordScan.SkipLetters(text, start);
        if (CodePoints.IsNumber(first)) return WordScan.SkipNumbers(text, start, mostDigits);
        int second = start + firstLength;
        int next = second < text.Length ? CodePoints.At(text, second, out _) : '\n';
        if (first is not ('\r' or '\n') && CodePoints.IsLetter(next)) return WordScan.SkipLetters(text, second);
        if (CodePoints.IsOther(first) || (first == ' ' && CodePoints.IsOther(next)))
        {
            int end = WordScan.SkipOther(text, first == ' ' ? second : start);
            while (end < text.Length && text[end] is '\r' or '\n') end++;
            return end;
        }
        int spaceEnd = WordScan.SkipWhiteSpace(text, start);
        int newline = text[start..spaceEnd].LastIndexOfAny('\r', '\n');
        return newline >= 0 ? start + newline + 1 : WordScan.WhiteSpaceEnd(text, start, spaceEnd);
    }
}

/// <summary>Parts that the word patterns have in common.</summary>
internal static class WordScan
{
    /// <summary>Length of 's, 't, 're, 've, 'm, 'll or 'd at the start of the text, or 0.</summary>
    public static int ContractionLength(ReadOnlySpan<char> text, bool ignoreCase)
    {
        if (text.Length < 2) return 0;
        char first = Fold(text[1], ignoreCase);
        if (first is 's' or 't' or 'm' or 'd') return 2;
        if (text.Length < 3) return 0;
        return (first, Fold(text[2], ignoreCase)) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    public static int SkipLetters(ReadOnlySpan<char> text, int position)
    {
        while (position < text.Length && CodePoints.IsLetter(CodePoints.At(text, position, out int length))) position += length;
        return position;
    }

    public static int SkipNumbers(ReadOnlySpan<char> text, int position, int most)
    {
        int length;
        for (int count = 0; count < most && position < text.Length && CodePoints.IsNumber(CodePoints.At(text, position, out length)); count++)
            position += length;
        return position;
    }

    public static int SkipOther(ReadOnlySpan<char> text, int position)
    {
        while (position < text.Length && CodePoints.IsOther(CodePoints.At(text, position, out int length))) position += length;
        return position;
    }

    public static int SkipWhiteSpace(ReadOnlySpan<char> text, int position)
    {
        while (position < text.Length && CodePoints.IsWhiteSpace(text[position])) position++;
        return position;
    }

    /// <summary>Where <c>\s+(?!\S)|\s+</c> ends: before the last white space when a word follows, for that space belongs to the word.</summary>
    public static int WhiteSpaceEnd(ReadOnlySpan<char> text, int start, int end) => end < text.Length && end - start > 1 ? end - 1 : end;

    // U+017F, the long s, is an s to case-insensitive expressions.
    private static char Fold(char character, bool ignoreCase) =>
        !ignoreCase ? character : character == '\u017F' ? 's' : char.IsAsciiLetterUpper(character) ? (char)(character | 0x20) : character;
}
