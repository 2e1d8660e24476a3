using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>Rewrites a text before it is divided. Immutable.</summary>
internal interface INormalizer
{
    string Normalize(string text, EncodingBudget budget);
}

/// <summary>Several normalisers, one after the other.</summary>
internal sealed class SequenceNormalizer(IReadOnlyList<INormalizer> steps) : INormalizer
{
    public string Normalize(string text, EncodingBudget budget)
    {
        foreach (INormalizer step in steps) text = step.Normalize(text, budget);
        return text;
    }
}

/// <summary>Puts a prefix in front of a text that is not empty.</summary>
internal sealed class PrependNormalizer(string prefix) : INormalizer
{
    public string Normalize(string text, EncodingBudget budget) => text.Length == 0 ? text : prefix + text;
}

/// <summary>Puts a suffix after a text that is not empty.</summary>
internal sealed class AppendNormalizer(string suffix) : INormalizer
{
    public string Normalize(string text, EncodingBudget budget) => text.Length == 0 ? text : text + suffix;
}

/// <summary>Replaces one fixed text by another.</summary>
internal sealed class LiteralReplaceNormalizer(string literal, string replacement) : INormalizer
{
    public string Normalize(string text, EncodingBudget budget)
    {
        if (literal.Length == 0) return text;
        if (replacement.Length > literal.Length)
            budget.ThrowIfTooLong(text.Length + ((long)text.AsSpan().Count(literal) * (replacement.Length - literal.Length)));
        return text.Replace(literal, replacement, StringComparison.Ordinal);
    }
}

/// <summary>Replaces the matches of a pattern.</summary>
internal sealed class PatternReplaceNormalizer(ITextPattern pattern, string replacement) : INormalizer
{
    public string Normalize(string text, EncodingBudget budget)
    {
        List<Piece> matches = [];
        pattern.Match(text, matches, budget);
        if (matches.Count == 0) return text;
        budget.ThrowIfTooLong(text.Length + ((long)matches.Count * replacement.Length) - matches.Sum(match => (long)(match.End - match.Start)));
        StringBuilder replaced = new();
        int position = 0;
        foreach (Piece match in matches)
        {
            replaced.Append(text, position, match.Start - position).Append(replacement);
            position = match.End;
        }
        return replaced.Append(text, position, text.Length - position).ToString();
    }
}

/// <summary>Lower case, character by character.</summary>
internal sealed class LowercaseNormalizer : INormalizer
{
    // U+0130 is the one character whose full lower case is longer than its simple one.
    public string Normalize(string text, EncodingBudget budget) => text.Replace("\u0130", "i\u0307", StringComparison.Ordinal).ToLowerInvariant();
}

/// <summary>Drops white space at the ends.</summary>
internal sealed class StripNormalizer(bool left, bool right) : INormalizer
{
    public string Normalize(string text, EncodingBudget budget) => (left, right) switch
    {
        (true, true) => text.Trim(),
        (true, false) => text.TrimStart(),
        (false, true) => text.TrimEnd(),
        _ => text,
    };
}

/// <summary>Drops spaces at the ends and makes each run of spaces one.</summary>
internal sealed class CollapseSpacesNormalizer : INormalizer
{
    public string Normalize(string text, EncodingBudget budget) => string.Join(' ', text.Split(' ', StringSplitOptions.RemoveEmptyEntries));
}

/// <summary>Drops up to a number of one character at the ends of a piece.</summary>
internal sealed class StripCharacterNormalizer(char character, int start, int end) : INormalizer
{
    public string Normalize(string text, EncodingBudget budget)
    {
        int from = 0, to = text.Length;
        while (from < start && from < to && text[from] == character) from++;
        while (text.Length - to < end && to > from && text[to - 1] == character) to--;
        return text[from..to];
    }
}

/// <summary>Writes a text in the <see cref="ByteLevelAlphabet"/>.</summary>
internal sealed class ByteLevelNormalizer : INormalizer
{
    public string Normalize(string text, EncodingBudget budget)
    {
        char[] written = new char[Encoding.UTF8.GetByteCount(text)];
        return new string(written, 0, ByteLevelAlphabet.Encode(text, written));
    }
}

/// <summary>"Nmt": drops control characters and writes other white space, marks of direction and U+FFFD as spaces.</summary>
internal sealed class NmtNormalizer : INormalizer
{
    public string Normalize(string text, EncodingBudget budget)
    {
        StringBuilder normalized = new(text.Length);
        foreach (char character in text)
        {
            switch (character)
            {
                case (>= '\u0001' and <= '\u0008') or '\u000B' or (>= '\u000E' and <= '\u001F') or '\u007F' or '\u008F' or '\u009F':
                    break;
                case '\t' or '\n' or '\f' or '\r' or '\u1680' or (>= '\u200B' and <= '\u200F') or '\u2028' or '\u2029' or '\u2581' or '\uFEFF' or '\uFFFD':
                    normalized.Append(' ');
                    break;
                default:
                    normalized.Append(character);
                    break;
            }
        }
        return normalized.ToString();
    }
}
