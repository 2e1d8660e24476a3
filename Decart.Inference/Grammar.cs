using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Grammars;
using Decart.Inference.Grammars.Patterns;

namespace Decart.Inference;

/// <summary>
/// What a completion must look like: set as <see cref="GenerationOptions.Grammar"/>, it leaves the model only those tokens that can still lead to such a text.
/// Immutable and safe for use by any number of threads and sessions; a session prepares it once for its vocabulary, so keep the object and use it again.
/// </summary>
/// <remarks>
/// <para>
/// The text ends only where it is complete. It is also complete when <see cref="GenerationOptions.MaxTokens"/> or the context ends it: as the limit comes near,
/// only tokens are left from which the text can be completed in time.
/// </para>
/// <para>Special tokens are never part of the text. docs/structured-output.md says what is supported and what it costs.</para>
/// </remarks>
public sealed class Grammar : IEquatable<Grammar>
{
    private const int LongestDescription = 200;

    /// <summary>Levels of a schema; more than a reader of JSON expects, because schemas nest twice as deep as what they describe.</summary>
    private const int MaxSchemaDepth = 256;

    private readonly Func<GrammarBuilder, GrammarRoot> _build;
    private readonly Lazy<GrammarAutomaton> _bytes;

    private Grammar(string source, Func<GrammarBuilder, GrammarRoot> build)
    {
        Source = source;
        _build = build;
        _bytes = new Lazy<GrammarAutomaton>(() => Build(vocabulary: null));
        _ = _bytes.Value; // what is wrong with it is said here
    }

    /// <summary>Any JSON value. Arrays and objects nest up to 64 levels deep; white space is at most a line break with its indentation.</summary>
    public static Grammar Json() => JsonGrammars.Any;

    /// <summary>Any JSON object.</summary>
    /// <inheritdoc cref="Json" path="/summary"/>
    public static Grammar JsonObject() => JsonGrammars.Object;

    /// <summary>JSON that matches a schema: draft 2020-12, and what drafts 4 to 2019-09 wrote otherwise.</summary>
    /// <remarks>
    /// Keywords of the standard that are not supported are refused, and so are formats; words that the standard does not know are passed over. The members of
    /// an object may come in any order, each once.
    /// </remarks>
    /// <param name="schema">The schema, as JSON.</param>
    /// <exception cref="GrammarException">The schema is malformed, asks for what is not supported, or nothing matches it.</exception>
    public static Grammar JsonSchema([StringSyntax(StringSyntaxAttribute.Json)] string schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        try
        {
            using JsonDocument document = JsonDocument.Parse(schema, new JsonDocumentOptions { MaxDepth = MaxSchemaDepth });
            return JsonSchema(document.RootElement);
        }
        catch (JsonException error)
        {
            throw new GrammarException($"The schema is not JSON: {error.Message}", error);
        }
    }

    /// <param name="schema">The schema; it is copied.</param>
    /// <inheritdoc cref="JsonSchema(string)"/>
    public static Grammar JsonSchema(JsonElement schema)
    {
        JsonElement copy = schema.Clone();
        return new Grammar($"JSON schema {copy.GetRawText()}", builder => builder.JsonSchema(copy));
    }

    /// <summary>A text that matches a regular expression from beginning to end.</summary>
    /// <param name="pattern">
    /// The expression, as ECMA-262 and .NET write it, as far as it describes a regular language: no references to groups, no lookbehind, no word boundaries.
    /// </param>
    /// <exception cref="GrammarException">The expression is malformed, asks for what is not supported, or nothing matches it.</exception>
    public static Grammar Regex([StringSyntax(StringSyntaxAttribute.Regex)] string pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        Pattern parsed = PatternParser.Parse(pattern);
        return new Grammar($"regular expression {pattern}", builder => builder.Regex(parsed));
    }

    /// <summary>A text that consists of one of these.</summary>
    /// <param name="texts">The texts; at least one.</param>
    /// <exception cref="GrammarException">There is no text to choose, or they are too many.</exception>
    public static Grammar Choice(params IEnumerable<string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        byte[][] choices = [.. texts.Select(Encoding.UTF8.GetBytes)];
        if (choices.Length == 0) throw new GrammarException("There is nothing to choose from: at least one text was expected.");
        return new Grammar($"choice {string.Join('\0', choices.Select(Convert.ToBase64String))}", builder => builder.Choice(choices));
    }

    /// <summary>What it was made of: grammars of the same source are the same.</summary>
    internal string Source { get; }

    /// <summary>Whether a whole text has this form, whatever tokens it is made of.</summary>
    /// <param name="text">The text.</param>
    public bool IsMatch(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return _bytes.Value.IsMatch(Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Whether another grammar was made of the same source.</summary>
    /// <param name="other">The other.</param>
    public bool Equals(Grammar? other) => other is not null && Source == other.Source;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Grammar);

    /// <inheritdoc/>
    public override int GetHashCode() => Source.GetHashCode(StringComparison.Ordinal);

    /// <summary>What it was made of, or the beginning of that.</summary>
    public override string ToString() => Quoted.Cut(Source, LongestDescription);

    /// <summary>Makes an automaton of it.</summary>
    /// <param name="vocabulary">What its texts are made of; null for single bytes.</param>
    internal GrammarAutomaton Build(GrammarVocabulary? vocabulary)
    {
        GrammarBuilder builder = new(vocabulary);
        return builder.Finish(_build(builder));
    }

    private static class JsonGrammars
    {
        public static readonly Grammar Any = new("json", builder => builder.Json(objectsOnly: false));
        public static readonly Grammar Object = new("json object", builder => builder.Json(objectsOnly: true));
    }
}
