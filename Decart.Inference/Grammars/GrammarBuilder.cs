using System.Text.Json;
using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Json;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Patterns;
using Decart.Inference.Grammars.Productions;
using Decart.Inference.Grammars.Schemas;

namespace Decart.Inference.Grammars;

/// <summary>What the texts of a grammar consist of.</summary>
internal readonly record struct GrammarRoot(RuleSet Rules, Production Text);

/// <summary>Makes the automaton of one grammar, for one vocabulary.</summary>
internal sealed class GrammarBuilder
{
    private readonly GrammarVocabulary? _vocabulary;

    /// <param name="vocabulary">What texts are made of; null for single bytes.</param>
    public GrammarBuilder(GrammarVocabulary? vocabulary)
    {
        _vocabulary = vocabulary;
        Table = new LanguageTable(vocabulary?.Trie);
        Rules = new RuleSet(Table);
    }

    public LanguageTable Table { get; }

    public RuleSet Rules { get; }

    /// <summary>One of some texts.</summary>
    public GrammarRoot Choice(IEnumerable<byte[]> texts) => new(Rules, Rules.Terminal(Table.Literals(texts)));

    /// <summary>Any JSON.</summary>
    public GrammarRoot Json(bool objectsOnly)
    {
        JsonSyntax json = new(Table);
        Production value = json.AnyValue(Rules);
        return new(Rules, Sequence.Of(Rules, Rules.Terminal(json.Space), objectsOnly ? json.AnyObject(Rules, value) : value));
    }

    /// <summary>JSON that matches a schema.</summary>
    public GrammarRoot JsonSchema(JsonElement schema) => new(Rules, new SchemaCompiler(Rules, schema).Compile());

    /// <summary>Texts that match a regular expression as a whole.</summary>
    public GrammarRoot Regex(Pattern pattern)
    {
        PatternLanguage patterns = new(Table, set => Utf8.Character(Table, set), Utf8.Character(Table, CodePointSet.All));
        return new(Rules, Rules.Terminal(patterns.Whole(pattern)));
    }

    public GrammarAutomaton Finish(GrammarRoot root)
    {
        root.Rules.Settle();
        return new GrammarAutomaton(Table, new Automaton(root.Rules, root.Text), _vocabulary);
    }
}
