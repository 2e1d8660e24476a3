namespace Decart.Inference.Tokenization;

/// <summary>Reads the pre-tokenizers of tokenizer.json.</summary>
internal static class PreTokenizerJson
{
    public static IPreTokenizer Read(JsonField field)
    {
        JsonField type = field.Required("type");
        return type.Text() switch
        {
            "Sequence" => new SequencePreTokenizer([.. field.Required("pretokenizers").Items().Select(Read)]),
            "Split" => new SplitPreTokenizer(
                ReadPattern(field.Required("pattern")), ReadBehavior(field.Required("behavior")), field.Flag("invert", missing: false)),
            "ByteLevel" => new ByteLevelPreTokenizer(field.Flag("add_prefix_space", missing: true), field.Flag("use_regex", missing: true)),
            "Metaspace" => new MetaspacePreTokenizer(ReadMarker(field), ReadPrependScheme(field), field.Flag("split", missing: true)),
            "Digits" => new SplitPreTokenizer(
                new CodePointPattern(CodePoints.IsNumber),
                field.Flag("individual_digits", missing: false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
            "Punctuation" => new SplitPreTokenizer(
                new CodePointPattern(CodePoints.IsPunctuation),
                field.Optional("behavior") is { } behavior ? ReadBehavior(behavior) : SplitBehavior.Isolated),
            "Whitespace" => new SplitPreTokenizer(RegexPattern.Create(@"\w+|[^\w\s]+"), SplitBehavior.Removed, invert: true),
            "WhitespaceSplit" => new SplitPreTokenizer(new CodePointPattern(CodePoints.IsWhiteSpace), SplitBehavior.Removed),
            "CharDelimiterSplit" => new SplitPreTokenizer(new LiteralPattern(field.Text("delimiter")), SplitBehavior.Removed),
            _ => throw type.Wrong(
                "a pre-tokenizer that is known (Sequence, Split, ByteLevel, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit)"),
        };
    }

    /// <summary>Reads a literal or a regular expression.</summary>
    public static ITextPattern ReadPattern(JsonField field)
    {
        if (field.TextOrNull("String") is { } literal) return new LiteralPattern(literal);
        return ReadExpression(field.Optional("Regex") ?? throw field.Wrong("a \"String\" or a \"Regex\""));
    }

    /// <summary>Reads a regular expression.</summary>
    public static ITextPattern ReadExpression(JsonField expression)
    {
        try
        {
            return RegexPattern.Create(expression.Text());
        }
        catch (ArgumentException exception)
        {
            throw expression.Wrong($"a regular expression that is understood ({exception.Message.TrimEnd('.')})", cause: exception);
        }
    }

    /// <summary>Reads the character that Metaspace puts in a space's place.</summary>
    public static char ReadMarker(JsonField field)
    {
        JsonField marker = field.Required("replacement");
        return marker.Text() is [char character] ? character : throw marker.Wrong("one character");
    }

    /// <summary>Reads when Metaspace puts its marker in front of a text.</summary>
    public static PrependScheme ReadPrependScheme(JsonField field)
    {
        if (field.Optional("prepend_scheme") is not { } scheme)
            return field.Flag("add_prefix_space", missing: true) ? PrependScheme.Always : PrependScheme.Never;
        return scheme.Text() switch
        {
            "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            "never" => PrependScheme.Never,
            _ => throw scheme.Wrong("\"always\", \"first\" or \"never\""),
        };
    }

    private static SplitBehavior ReadBehavior(JsonField field) => field.Text() switch
    {
        "Isolated" => SplitBehavior.Isolated,
        "Removed" => SplitBehavior.Removed,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        _ => throw field.Wrong("Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous"),
    };
}
