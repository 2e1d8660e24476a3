using System.Globalization;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Writes a text with one UTF-16 unit a code point, for an engine that matches units: each code point beyond the basic plane
/// becomes a character of that plane which the expression cannot tell from it, because it has the same general category
/// and is (or is not) named by the same ranges.
/// </summary>
internal sealed class PlaneProjection(OnigurumaTranslation translation)
{
    private const int FirstHan = 0x20000, LastHan = 0x3FFFF;
    private const char HanCharacter = '\u9FB0';

    private readonly Lazy<char[]> _representatives = new(() => FindRepresentatives(translation));

    /// <summary>Writes the projection and returns its length.</summary>
    public int Project(ReadOnlySpan<char> text, Span<char> destination)
    {
        int written = 0;
        for (int position = 0; position < text.Length;)
        {
            int codePoint = CodePoints.At(text, position, out int length);
            destination[written++] = length == 1 ? (char)codePoint : Represent(codePoint);
            position += length;
        }
        return written;
    }

    private char Represent(int codePoint)
    {
        if (translation.SupplementaryRange(codePoint) is { } stand) return stand;
        if (codePoint is >= FirstHan and <= LastHan && CharUnicodeInfo.GetUnicodeCategory(codePoint) == UnicodeCategory.OtherLetter) return HanCharacter;
        return _representatives.Value[(int)CharUnicodeInfo.GetUnicodeCategory(codePoint)];
    }

    /// <summary>For each category a character that no explicit range of the expression contains, if there is one.</summary>
    private static char[] FindRepresentatives(OnigurumaTranslation translation)
    {
        char[] found = new char[(int)UnicodeCategory.OtherNotAssigned + 1];
        char[] fallback = new char[found.Length];
        for (int character = 0x80; character <= char.MaxValue; character++)
        {
            int category = (int)CharUnicodeInfo.GetUnicodeCategory(character);
            if (fallback[category] == 0) fallback[category] = (char)character;
            if (found[category] == 0 && !translation.Names(character) && !UnicodeScripts.IsNamed((char)character)) found[category] = (char)character;
        }
        for (int category = 0; category < found.Length; category++)
        {
            if (found[category] == 0) found[category] = fallback[category];
        }
        return found;
    }
}
