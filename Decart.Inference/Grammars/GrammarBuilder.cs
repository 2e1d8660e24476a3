using System.Text.Json;
using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Json;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Patterns;
using Decart.Inference.Grammars.Productions;
using Decart.Inference.Grammars.Schemas;

namespace Decart.Inference.Grammars;

/// <summary>Makes the automaton of one grammar, for one vocabulary.</summary>
internal sealed class GrammarBuilder
{
    private readonly GrammarVocabulary? _vocabulary;
    private readonly LanguageTable _table;
    private readonly RuleSet _rules;
    private readonly Language _anyCharacter;

    /// <param name="vocabulary">What texts are made of; null for single bytes.</param>
    public GrammarBuilder(GrammarVocabulary? vocabulary)
    {
        _vocabulary = vocabulary;
        _table = new LanguageTable(vocabulary?.Trie);
        _rules = new RuleSet(_table);
        _anyCharacter = Utf8.Character(_table, CodePointSet.All);
    }

    /// <summary>One of some texts.</summary>
    public Production Choice(IEnumerable<byte[]> texts) => _rules.Terminal(_table.Literals(texts));

    /// <summary>Any JSON.</summary>
    public Production Json(bool objectsOnly)
    {
        JsonSyntax json = new(_table);
        Production value = json.AnyValue(_rules);
        return Sequence([_rules.Terminal(json.Space), objectsOnly ? json.AnyObject(_rules, value) : value]);
    }

    /// <summary>JSON that matches a schema.</summary>
    public Production JsonSchema(JsonElement schema, bool objectsOnly = false) => new SchemaCompiler(_rules, schema).Compile(objectsOnly);

    /// <summary>Texts that match a regular expression as a whole.</summary>
    public Production Regex(Pattern pattern)
    {
        PatternLanguage patterns = new(_table, set => Utf8.Character(_table, set), _anyCharacter);
        return _rules.Terminal(patterns.Whole(pattern));
    }

    /// <summary>Texts of a rule of a GBNF grammar.</summary>
    public Production Gbnf(IReadOnlyDictionary<string, Pattern> patterns, string root) => new GbnfGrammar(patterns, _rules).Of(root);

    /// <summary>Texts of several grammars, one after the other.</summary>
    public Production Sequence(IEnumerable<Production> parts) => Productions.Sequence.Of(_rules, [.. parts]);

    /// <summary>Texts of any of several grammars.</summary>
    public Production AnyOf(IEnumerable<Production> alternatives) => Productions.Choice.Of(_rules, alternatives);

    /// <summary>Texts of a grammar several times, one after the other.</summary>
    public static Production Repeat(Production part, int min, int? max) => new Repetition(part, min, max ?? Language.Unbounded);

    /// <summary>A text; where it names special tokens of the vocabulary, those tokens.</summary>
    public Production Literal(string text) => _rules.Terminal(LiteralLanguage(text));

    /// <summary>Any text in which none of some others occurs.</summary>
    public Production TextWithout(IEnumerable<string> excluded)
    {
        Language anything = _table.Repeat(_anyCharacter, 0);
        Language[] others = [.. excluded.Select(LiteralLanguage)];
        if (others.Length == 0) return _rules.Terminal(anything);
        return _rules.Terminal(_table.Intersect(anything, _table.Complement(_table.Concatenate(anything, _table.Union(others), _table.Anything))));
    }

    /// <summary>Any text up to another, which is its end.</summary>
    public Production TextUntil(string end)
    {
        Language anything = _table.Repeat(_anyCharacter, 0), literal = LiteralLanguage(end);
        Language earlier = _table.Concatenate(anything, literal, _table.Bytes(ByteSet.All), _table.Anything);
        return _rules.Terminal(_table.Intersect(_table.Concatenate(anything, literal), _table.Complement(earlier)));
    }

    /// <summary>What is said where recursion would need more stack than there is.</summary>
    public static GrammarException TooDeep(InsufficientExecutionStackException error) => new("The grammar nests too deep.", error);

    public GrammarAutomaton Finish(Production text)
    {
        _rules.Settle();
        Automaton automaton = new(_rules, text);
        _table.Complete();
        return new GrammarAutomaton(_table, automaton, _vocabulary);
    }

    private Language LiteralLanguage(string text) => _table.Literal(_vocabulary is null ? System.Text.Encoding.UTF8.GetBytes(text) : _vocabulary.Encode(text));
}
