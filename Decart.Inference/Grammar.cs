using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Grammars;
using Decart.Inference.Grammars.Patterns;
using Decart.Inference.Grammars.Productions;

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

    /// <summary>Levels of grammars that are put together of others, and characters of what all of them were made of.</summary>
    private const int MaxNesting = 100, LongestComposition = 1 << 24;

    private readonly int _nesting;
    private readonly Func<GrammarBuilder, Production> _build;
    private readonly Lazy<GrammarAutomaton> _bytes;

    private Grammar(string source, Func<GrammarBuilder, Production> build, params ReadOnlySpan<Grammar> parts)
    {
        foreach (Grammar part in parts) _nesting = Math.Max(_nesting, part._nesting + 1);
        if (_nesting > MaxNesting) throw new GrammarException($"The grammar is put together of others on more than {MaxNesting} levels.");
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
    /// <exception cref="ArgumentException"><paramref name="schema"/> holds no JSON.</exception>
    /// <inheritdoc cref="JsonSchema(string)"/>
    public static Grammar JsonSchema(JsonElement schema)
    {
        if (schema.ValueKind == JsonValueKind.Undefined) throw new ArgumentException("The element holds no JSON; a schema was expected.", nameof(schema));
        JsonElement copy = schema.Clone();
        return new Grammar($"JSON schema {copy.GetRawText()}", builder => builder.JsonSchema(copy));
    }

    /// <summary>A JSON object that matches a schema, which need not say that it is one.</summary>
    /// <inheritdoc cref="JsonSchema(string)"/>
    internal static Grammar JsonObject(JsonElement schema)
    {
        JsonElement copy = schema.Clone();
        return new Grammar($"JSON object of schema {copy.GetRawText()}", builder => builder.JsonSchema(copy, objectsOnly: true));
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
    /// <exception cref="ArgumentException">One of them is <see langword="null"/>.</exception>
    /// <exception cref="GrammarException">There is no text to choose, or they are too many.</exception>
    public static Grammar Choice(params IEnumerable<string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        byte[][] choices = [.. texts.Select(text => Encoding.UTF8.GetBytes(text ?? throw new ArgumentException("A text is null.", nameof(texts))))];
        if (choices.Length == 0) throw new GrammarException("There is nothing to choose from: at least one text was expected.");
        return new Grammar($"choice {Sources(choices)}", builder => builder.Choice(choices));
    }

    /// <summary>Texts of a grammar as llama.cpp writes them (GBNF).</summary>
    /// <param name="grammar">
    /// Rules <c>name ::= alternatives</c>, made of quoted texts, classes of characters, names of other rules and groups, each with a quantifier or not. A rule must not
    /// begin with itself.
    /// </param>
    /// <param name="root">The rule that whole texts follow.</param>
    /// <exception cref="GrammarException">The grammar is malformed, a rule is missing or begins with itself, or there is no text.</exception>
    public static Grammar Gbnf(string grammar, string root = "root")
    {
        ArgumentNullException.ThrowIfNull(grammar);
        ArgumentNullException.ThrowIfNull(root);
        IReadOnlyDictionary<string, Pattern> rules = GbnfParser.Parse(grammar);
        if (!rules.ContainsKey(root)) throw new GrammarException($"The grammar has no rule {Quoted.Value(root)}, which texts were to follow.");
        return new Grammar($"GBNF {root} {grammar}", builder => builder.Gbnf(rules, root));
    }

    /// <summary>Texts of several grammars, one after the other.</summary>
    /// <param name="parts">The grammars; at least one.</param>
    /// <exception cref="GrammarException">There is no such text, or the grammars are too large together.</exception>
    public static Grammar Sequence(params IEnumerable<Grammar> parts)
    {
        Grammar[] all = RequireSome(parts);
        return new Grammar($"sequence {Sources(all)}", builder => builder.Sequence(all.Select(part => part._build(builder))), all);
    }

    /// <summary>Texts of any one of several grammars.</summary>
    /// <param name="alternatives">The grammars; at least one.</param>
    /// <inheritdoc cref="Sequence" path="/exception"/>
    public static Grammar AnyOf(params IEnumerable<Grammar> alternatives)
    {
        Grammar[] all = RequireSome(alternatives);
        return new Grammar($"any of {Sources(all)}", builder => builder.AnyOf(all.Select(part => part._build(builder))), all);
    }

    /// <summary>Texts of a grammar several times, one after the other.</summary>
    /// <param name="part">The grammar.</param>
    /// <param name="min">How often at least, from 0 on.</param>
    /// <param name="max">How often at most, at least 1 and <paramref name="min"/>; <see langword="null"/> for any number.</param>
    /// <inheritdoc cref="Sequence" path="/exception"/>
    /// <exception cref="ArgumentOutOfRangeException">A bound is out of range.</exception>
    public static Grammar Repeat(Grammar part, int min = 0, int? max = null)
    {
        ArgumentNullException.ThrowIfNull(part);
        ArgumentOutOfRangeException.ThrowIfNegative(min);
        if (max is { } most) ArgumentOutOfRangeException.ThrowIfLessThan(most, Math.Max(1, min), nameof(max));
        return new Grammar(string.Create(CultureInfo.InvariantCulture, $"repeat {min} {max} {Sources([part])}"), builder => GrammarBuilder.Repeat(part._build(builder), min, max), part);
    }

    /// <summary>
    /// One text, exactly. Where it names special tokens of the vocabulary (<c>[TOOL_CALLS]</c>), it means those tokens, which have no text of their own: never make
    /// it of what a user has written.
    /// </summary>
    /// <param name="text">The text.</param>
    public static Grammar Literal(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new Grammar($"literal {text}", builder => builder.Literal(text));
    }

    /// <summary>Any text, also none, in which none of some others occurs. Special tokens are no text.</summary>
    /// <param name="excluded">The texts that must not occur, none of them empty.</param>
    /// <exception cref="ArgumentException">One of them is empty.</exception>
    public static Grammar TextWithout(params IEnumerable<string> excluded)
    {
        ArgumentNullException.ThrowIfNull(excluded);
        string[] texts = [.. excluded];
        foreach (string text in texts) ArgumentException.ThrowIfNullOrEmpty(text, nameof(excluded));
        return new Grammar($"text without {Sources(texts.Select(Encoding.UTF8.GetBytes))}", builder => builder.TextWithout(texts));
    }

    /// <summary>Any text up to another, which is its end and occurs nowhere else in it: a model's thoughts, for one.</summary>
    /// <param name="end">The end; where it names a special token, that token.</param>
    /// <exception cref="ArgumentException"><paramref name="end"/> is empty.</exception>
    public static Grammar TextUntil(string end)
    {
        ArgumentException.ThrowIfNullOrEmpty(end);
        return new Grammar($"text until {end}", builder => builder.TextUntil(end));
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
        try
        {
            GrammarBuilder builder = new(vocabulary);
            return builder.Finish(_build(builder));
        }
        catch (InsufficientExecutionStackException error)
        {
            throw GrammarBuilder.TooDeep(error);
        }
    }

    private static Grammar[] RequireSome(IEnumerable<Grammar> grammars, [CallerArgumentExpression(nameof(grammars))] string? name = null)
    {
        ArgumentNullException.ThrowIfNull(grammars, name);
        Grammar[] all = [.. grammars];
        foreach (Grammar grammar in all) ArgumentNullException.ThrowIfNull(grammar, name);
        return all.Length > 0 ? all : throw new GrammarException("There is no grammar to make another of: at least one was expected.");
    }

    /// <summary>Several texts, so that no two lists give the same.</summary>
    private static string Sources(IEnumerable<byte[]> texts) => string.Join('\0', texts.Select(Convert.ToBase64String));

    /// <summary>The sources of several grammars, with their lengths, so that no two lists give the same.</summary>
    private static string Sources(Grammar[] grammars) => grammars.Sum(grammar => (long)grammar.Source.Length) > LongestComposition
        ? throw new GrammarException("The grammars are too large together.")
        : string.Concat(grammars.Select(grammar => string.Create(CultureInfo.InvariantCulture, $"({grammar.Source.Length}: {grammar.Source})")));

    private static class JsonGrammars
    {
        public static readonly Grammar Any = new("json", builder => builder.Json(objectsOnly: false));
        public static readonly Grammar Object = new("json object", builder => builder.Json(objectsOnly: true));
    }
}
