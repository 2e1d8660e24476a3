using Decart.Inference.Grammars.Json;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Patterns;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>Strings that match regular expressions, formats and lengths.</summary>
internal sealed class StringLanguage(LanguageTable table, JsonSyntax json)
{
    /// <summary>Formats that say how a number is stored, for any type.</summary>
    private static readonly HashSet<string> NumberFormats = ["int32", "int64", "uint8", "int8", "int16", "uint16", "uint32", "uint64", "float", "double", "decimal", "half", "int128"];

    private readonly Dictionary<string, Language> _patterns = [], _formats = [];

    /// <summary>A whole string in quotes.</summary>
    public Language Quoted(Constraints constraints)
    {
        bool isFree = constraints is { Patterns: [], ExcludedPatterns: [], ExcludedTexts: [] } && !constraints.Formats.Exists(format => !NumberFormats.Contains(format.Format));
        int max = constraints.MaxLength == int.MaxValue ? Language.Unbounded : constraints.MaxLength;
        if (max != Language.Unbounded && max < constraints.MinLength) return table.Nothing;
        return json.Quoted(isFree ? table.Repeat(json.AnyCharacter, constraints.MinLength, max) : Content(constraints));
    }

    /// <summary>What stands between the quotes, each character written in one way.</summary>
    public Language Content(Constraints constraints)
    {
        List<Language> all = [.. constraints.Patterns.Select(pattern => OfPattern(pattern.Pattern, pattern.Path))];
        all.AddRange(constraints.ExcludedPatterns.Select(pattern => table.Complement(OfPattern(pattern.Pattern, pattern.Path))));
        if (constraints.ExcludedTexts.Count > 0) all.Add(table.Complement(table.Literals(constraints.ExcludedTexts.Select(Written))));
        foreach ((string format, string path) in constraints.Formats)
        {
            if (!NumberFormats.Contains(format)) all.Add(OfFormat(format, path));
        }
        int max = constraints.MaxLength == int.MaxValue ? Language.Unbounded : constraints.MaxLength;
        if (max != Language.Unbounded && max < constraints.MinLength) return table.Nothing;
        bool isLimited = all.Exists(language => language.Kind != LanguageKind.Complement);
        if (!isLimited || constraints.MinLength > 0 || max != Language.Unbounded) all.Add(table.Repeat(json.PlainCharacter, constraints.MinLength, max));
        return table.Intersect([.. all]);
    }

    /// <summary>A text as it stands between quotes.</summary>
    public static byte[] Written(string text) => SchemaValues.StringText(text)[1..^1];

    /// <summary>The texts in which a regular expression has a match.</summary>
    public Language OfPattern(string pattern, string path)
    {
        if (_patterns.TryGetValue(pattern, out Language? known)) return known;
        try
        {
            known = new PatternLanguage(table, json.Character, json.PlainCharacter).Containing(PatternParser.Parse(pattern));
        }
        catch (GrammarException error) when (error.Path is null)
        {
            throw new GrammarException(path, error.Message.TrimEnd('.'), error);
        }
        _patterns.Add(pattern, known);
        return known;
    }

    private Language OfFormat(string format, string path)
    {
        if (_formats.TryGetValue(format, out Language? known)) return known;
        known = StringFormats.Find(format, json, table) ?? throw new GrammarException(path, $"is {Checkpoints.Quoted.Value(format)}, a format that is not supported");
        _formats.Add(format, known);
        return known;
    }
}
