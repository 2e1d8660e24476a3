using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Decart.Inference.Chat.Jinja;

/// <summary>What Python knows of characters: white space, case, and how they are written in <c>repr</c>.</summary>
internal static class PythonText
{
    private const char CapitalSigma = '\u03A3';

    /// <summary>Characters whose upper case is several: the character, then what it becomes (Unicode's SpecialCasing.txt).</summary>
    private const string LongUpperCases =
        "\u00DF\u0053\u0053 \u0149\u02BC\u004E \u01F0\u004A\u030C \u0390\u0399\u0308\u0301 \u03B0\u03A5\u0308\u0301 "
        + "\u0587\u0535\u0552 \u1E96\u0048\u0331 \u1E97\u0054\u0308 \u1E98\u0057\u030A \u1E99\u0059\u030A "
        + "\u1E9A\u0041\u02BE \u1F50\u03A5\u0313 \u1F52\u03A5\u0313\u0300 \u1F54\u03A5\u0313\u0301 "
        + "\u1F56\u03A5\u0313\u0342 \u1F80\u1F08\u0399 \u1F81\u1F09\u0399 \u1F82\u1F0A\u0399 \u1F83\u1F0B\u0399 "
        + "\u1F84\u1F0C\u0399 \u1F85\u1F0D\u0399 \u1F86\u1F0E\u0399 \u1F87\u1F0F\u0399 \u1F88\u1F08\u0399 "
        + "\u1F89\u1F09\u0399 \u1F8A\u1F0A\u0399 \u1F8B\u1F0B\u0399 \u1F8C\u1F0C\u0399 \u1F8D\u1F0D\u0399 "
        + "\u1F8E\u1F0E\u0399 \u1F8F\u1F0F\u0399 \u1F90\u1F28\u0399 \u1F91\u1F29\u0399 \u1F92\u1F2A\u0399 "
        + "\u1F93\u1F2B\u0399 \u1F94\u1F2C\u0399 \u1F95\u1F2D\u0399 \u1F96\u1F2E\u0399 \u1F97\u1F2F\u0399 "
        + "\u1F98\u1F28\u0399 \u1F99\u1F29\u0399 \u1F9A\u1F2A\u0399 \u1F9B\u1F2B\u0399 \u1F9C\u1F2C\u0399 "
        + "\u1F9D\u1F2D\u0399 \u1F9E\u1F2E\u0399 \u1F9F\u1F2F\u0399 \u1FA0\u1F68\u0399 \u1FA1\u1F69\u0399 "
        + "\u1FA2\u1F6A\u0399 \u1FA3\u1F6B\u0399 \u1FA4\u1F6C\u0399 \u1FA5\u1F6D\u0399 \u1FA6\u1F6E\u0399 "
        + "\u1FA7\u1F6F\u0399 \u1FA8\u1F68\u0399 \u1FA9\u1F69\u0399 \u1FAA\u1F6A\u0399 \u1FAB\u1F6B\u0399 "
        + "\u1FAC\u1F6C\u0399 \u1FAD\u1F6D\u0399 \u1FAE\u1F6E\u0399 \u1FAF\u1F6F\u0399 \u1FB2\u1FBA\u0399 "
        + "\u1FB3\u0391\u0399 \u1FB4\u0386\u0399 \u1FB6\u0391\u0342 \u1FB7\u0391\u0342\u0399 \u1FBC\u0391\u0399 "
        + "\u1FC2\u1FCA\u0399 \u1FC3\u0397\u0399 \u1FC4\u0389\u0399 \u1FC6\u0397\u0342 \u1FC7\u0397\u0342\u0399 "
        + "\u1FCC\u0397\u0399 \u1FD2\u0399\u0308\u0300 \u1FD3\u0399\u0308\u0301 \u1FD6\u0399\u0342 "
        + "\u1FD7\u0399\u0308\u0342 \u1FE2\u03A5\u0308\u0300 \u1FE3\u03A5\u0308\u0301 \u1FE4\u03A1\u0313 "
        + "\u1FE6\u03A5\u0342 \u1FE7\u03A5\u0308\u0342 \u1FF2\u1FFA\u0399 \u1FF3\u03A9\u0399 \u1FF4\u038F\u0399 "
        + "\u1FF6\u03A9\u0342 \u1FF7\u03A9\u0342\u0399 \u1FFC\u03A9\u0399 \uFB00\u0046\u0046 \uFB01\u0046\u0049 "
        + "\uFB02\u0046\u004C \uFB03\u0046\u0046\u0049 \uFB04\u0046\u0046\u004C \uFB05\u0053\u0054 \uFB06\u0053\u0054 "
        + "\uFB13\u0544\u0546 \uFB14\u0544\u0535 \uFB15\u0544\u053B \uFB16\u054E\u0546 \uFB17\u0544\u053D";

    private static readonly FrozenDictionary<Rune, string> LongUpper =
        LongUpperCases.Split(' ').ToFrozenDictionary(entry => new Rune(entry[0]), entry => entry[1..]);

    /// <summary>White space as <c>str.isspace</c> has it.</summary>
    public static bool IsSpace(char character) => char.IsWhiteSpace(character) || character is >= '\x1c' and <= '\x1f';

    /// <summary>Whether <c>str.splitlines</c> ends a line here.</summary>
    public static bool EndsLine(char character) => character is >= '\n' and <= '\r' or >= '\x1c' and <= '\x1e' or '\x85' or '\u2028' or '\u2029';

    /// <summary>The text without white space around it.</summary>
    public static string Strip(string text)
    {
        int start = 0, end = text.Length;
        while (start < end && IsSpace(text[start])) start++;
        while (end > start && IsSpace(text[end - 1])) end--;
        return text[start..end];
    }

    public static string Upper(Rune rune) => LongUpper.TryGetValue(rune, out string? upper) ? upper : Rune.ToUpperInvariant(rune).ToString();

    /// <summary>The lower case of a character of a text: a sigma at the end of a word has its own.</summary>
    public static string Lower(string text, int offset, Rune rune)
    {
        if (rune.Value == 0x130) return "i\u0307";
        if (rune.Value != CapitalSigma) return Rune.ToLowerInvariant(rune).ToString();
        bool ends = offset > 0 && char.IsLetter(text[offset - 1]) && (offset + 1 == text.Length || !char.IsLetter(text[offset + 1]));
        return ends ? "\u03C2" : "\u03C3";
    }

    /// <summary>The case of a letter that begins a word.</summary>
    public static string Title(Rune rune)
    {
        if (rune.Value is >= 0x1C4 and <= 0x1CC or >= 0x1F1 and <= 0x1F3)
            return new Rune(rune.Value >= 0x1F1 ? 0x1F2 : 0x1C5 + ((rune.Value - 0x1C4) / 3 * 3)).ToString();
        if (rune.Value is >= 0x10D0 and <= 0x10FF) return rune.ToString();
        string upper = Upper(rune);
        if (!LongUpper.ContainsKey(rune) || upper[0] == '\u02BC') return upper;
        return upper[0] + upper[1..].ToLowerInvariant();
    }

    /// <summary>Whether a character has a case, and which.</summary>
    public static bool IsCased(Rune rune) => IsUpper(rune) || IsLower(rune) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter;

    public static bool IsUpper(Rune rune) => Rune.GetUnicodeCategory(rune) == UnicodeCategory.UppercaseLetter || rune.Value is >= 0x2160 and <= 0x216F or >= 0x24B6 and <= 0x24CF;

    public static bool IsLower(Rune rune) =>
        Rune.GetUnicodeCategory(rune) == UnicodeCategory.LowercaseLetter || rune.Value is 0xAA or 0xBA or >= 0x2170 and <= 0x217F or >= 0x24D0 and <= 0x24E9;

    /// <summary>How <c>repr</c> writes a character that does not stand for itself; null for one that does.</summary>
    public static string? Escape(string text, int offset, int length, char quote)
    {
        char first = text[offset];
        if (first == quote || first == '\\') return $"\\{first}";
        if (first is >= ' ' and < '\x7f') return null;
        if (first is '\n') return "\\n";
        if (first is '\r') return "\\r";
        if (first is '\t') return "\\t";
        if (IsPrintable(CharUnicodeInfo.GetUnicodeCategory(text, offset))) return null;
        int codePoint = length == 2 ? char.ConvertToUtf32(first, text[offset + 1]) : first;
        return EscapeCode(codePoint);
    }

    /// <summary>A code point as an escape sequence.</summary>
    public static string EscapeCode(int codePoint) => codePoint switch
    {
        < 0x100 => string.Create(CultureInfo.InvariantCulture, $"\\x{codePoint:x2}"),
        < 0x10000 => string.Create(CultureInfo.InvariantCulture, $"\\u{codePoint:x4}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"\\U{codePoint:x8}"),
    };

    /// <summary>Compares by code points, as Python does.</summary>
    public static int Compare(string left, string right)
    {
        int length = Math.Min(left.Length, right.Length);
        int same = left.AsSpan(0, length).CommonPrefixLength(right);
        if (same == length) return left.Length.CompareTo(right.Length);
        (char first, char second) = (left[same], right[same]);
        // A surrogate stands for a code point above all others.
        if (char.IsSurrogate(first) != char.IsSurrogate(second)) return char.IsSurrogate(first) ? 1 : -1;
        return first.CompareTo(second);
    }

    public static bool IsPrintable(UnicodeCategory category) => category
        is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);
}
