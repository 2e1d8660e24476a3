using System.Collections.Concurrent;
using System.Globalization;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Patterns;

/// <summary>The sets of characters that regular expressions have names for, as ECMA-262 defines them.</summary>
internal static class CharacterClasses
{
    private const int LastCodePoint = 0x10FFFF;

    private static readonly Lazy<UnicodeCategory[]> Categories = new(
        () => [.. Enumerable.Range(0, LastCodePoint + 1).Select(codePoint => CharUnicodeInfo.GetUnicodeCategory(codePoint))]);

    private static readonly ConcurrentDictionary<string, CodePointSet> Found = [];

    public static CodePointSet Digits { get; } = CodePointSet.Of(('0', '9'));

    public static CodePointSet Words { get; } = CodePointSet.Of(('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_'));

    public static CodePointSet Spaces { get; } =
        CodePointSet.Of((9, 13), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF));

    /// <summary>What a dot stands for.</summary>
    public static CodePointSet NoLineEnds { get; } = CodePointSet.Of("\n\r\u2028\u2029").Not();

    /// <summary>The characters of a Unicode category, such as L or Lu; null where there is none of that name.</summary>
    public static CodePointSet? Category(string name)
    {
        if (Found.TryGetValue(name, out CodePointSet? known)) return known;
        HashSet<UnicodeCategory> wanted = [.. Enum.GetValues<UnicodeCategory>().Where(category => IsNamed(category, name))];
        if (wanted.Count == 0) return null;
        UnicodeCategory[] categories = Categories.Value;
        List<(int, int)> ranges = [];
        for (int from = 0; from <= LastCodePoint; from++)
        {
            if (!wanted.Contains(categories[from])) continue;
            int to = from;
            while (to < LastCodePoint && wanted.Contains(categories[to + 1])) to++;
            ranges.Add((from, to));
            from = to;
        }
        return Found.GetOrAdd(name, CodePointSet.Of(ranges));
    }

    private static bool IsNamed(UnicodeCategory category, string name)
    {
        (string shortName, string longName) = category switch
        {
            UnicodeCategory.UppercaseLetter => ("Lu", "Uppercase_Letter"),
            UnicodeCategory.LowercaseLetter => ("Ll", "Lowercase_Letter"),
            UnicodeCategory.TitlecaseLetter => ("Lt", "Titlecase_Letter"),
            UnicodeCategory.ModifierLetter => ("Lm", "Modifier_Letter"),
            UnicodeCategory.OtherLetter => ("Lo", "Other_Letter"),
            UnicodeCategory.NonSpacingMark => ("Mn", "Nonspacing_Mark"),
            UnicodeCategory.SpacingCombiningMark => ("Mc", "Spacing_Mark"),
            UnicodeCategory.EnclosingMark => ("Me", "Enclosing_Mark"),
            UnicodeCategory.DecimalDigitNumber => ("Nd", "Decimal_Number"),
            UnicodeCategory.LetterNumber => ("Nl", "Letter_Number"),
            UnicodeCategory.OtherNumber => ("No", "Other_Number"),
            UnicodeCategory.ConnectorPunctuation => ("Pc", "Connector_Punctuation"),
            UnicodeCategory.DashPunctuation => ("Pd", "Dash_Punctuation"),
            UnicodeCategory.OpenPunctuation => ("Ps", "Open_Punctuation"),
            UnicodeCategory.ClosePunctuation => ("Pe", "Close_Punctuation"),
            UnicodeCategory.InitialQuotePunctuation => ("Pi", "Initial_Punctuation"),
            UnicodeCategory.FinalQuotePunctuation => ("Pf", "Final_Punctuation"),
            UnicodeCategory.OtherPunctuation => ("Po", "Other_Punctuation"),
            UnicodeCategory.MathSymbol => ("Sm", "Math_Symbol"),
            UnicodeCategory.CurrencySymbol => ("Sc", "Currency_Symbol"),
            UnicodeCategory.ModifierSymbol => ("Sk", "Modifier_Symbol"),
            UnicodeCategory.OtherSymbol => ("So", "Other_Symbol"),
            UnicodeCategory.SpaceSeparator => ("Zs", "Space_Separator"),
            UnicodeCategory.LineSeparator => ("Zl", "Line_Separator"),
            UnicodeCategory.ParagraphSeparator => ("Zp", "Paragraph_Separator"),
            UnicodeCategory.Control => ("Cc", "Control"),
            UnicodeCategory.Format => ("Cf", "Format"),
            UnicodeCategory.PrivateUse => ("Co", "Private_Use"),
            UnicodeCategory.OtherNotAssigned => ("Cn", "Unassigned"),
            _ => ("Cs", "Surrogate"),
        };
        string group = shortName[0] switch
        {
            'L' => "Letter",
            'M' => "Mark",
            'N' => "Number",
            'P' => "Punctuation",
            'S' => "Symbol",
            'Z' => "Separator",
            _ => "Other",
        };
        return name == shortName || name == longName || name == group || (name.Length == 1 && shortName[0] == name[0])
            || (name == "digit" && shortName == "Nd");
    }
}
