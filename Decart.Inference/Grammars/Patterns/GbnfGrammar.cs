using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Patterns;

/// <summary>
/// Makes productions of the rules of a GBNF grammar. What needs no recursion becomes a regular language, rule by rule, so that the masks of a rule are
/// found once wherever it is mentioned.
/// </summary>
internal sealed class GbnfGrammar
{
    private readonly IReadOnlyDictionary<string, Pattern> _patterns;
    private readonly RuleSet _rules;
    private readonly LanguageTable _table;
    private readonly Dictionary<string, Language?> _regular = []; // null for rules that are not
    private readonly Dictionary<string, Rule> _others = [];

    public GbnfGrammar(IReadOnlyDictionary<string, Pattern> patterns, RuleSet rules)
    {
        _patterns = patterns;
        _rules = rules;
        _table = rules.Table;
        foreach (string name in patterns.Keys) FindRegular(name);
        foreach ((string name, Language? language) in _regular)
        {
            if (language is null) _others.Add(name, rules.Add(name));
        }
        foreach ((string name, Rule rule) in _others) rule.Body = Produce(patterns[name]);
    }

    /// <summary>What a rule says.</summary>
    public Production Of(string name) => Produce(new RulePattern(name));

    /// <summary>Finds the languages of a rule and of those that it mentions, without recursion in the code: chains of rules may be long.</summary>
    private void FindRegular(string start)
    {
        HashSet<string> open = [];
        Stack<string> path = new([start]);
        while (path.TryPeek(out string? name))
        {
            if (_regular.ContainsKey(name))
            {
                path.Pop();
                continue;
            }
            open.Add(name);
            string[] mentioned = [.. Mentioned(_patterns[name]).Distinct()];
            string? unknown = Array.Find(mentioned, its => !_regular.ContainsKey(its) && !open.Contains(its));
            if (unknown is not null)
            {
                path.Push(unknown);
                continue;
            }
            // A rule that is still open mentions this one: it is recursive, and so is this.
            bool isRegular = Array.TrueForAll(mentioned, its => _regular.GetValueOrDefault(its) is not null);
            _regular.Add(name, isRegular ? Languages(_patterns[name]) : null);
            open.Remove(name);
            path.Pop();
        }
    }

    private static IEnumerable<string> Mentioned(Pattern pattern) => pattern switch
    {
        RulePattern rule => [rule.Name],
        SequencePattern sequence => sequence.Parts.SelectMany(Mentioned),
        AlternativePattern alternatives => alternatives.Parts.SelectMany(Mentioned),
        RepeatedPattern repeated => Mentioned(repeated.Part),
        _ => [],
    };

    private bool IsRegular(Pattern pattern) => Mentioned(pattern).All(name => _regular[name] is not null);

    private Language Languages(Pattern pattern) => pattern switch
    {
        CharacterPattern character => Utf8.Character(_table, character.Set),
        RulePattern rule => _regular[rule.Name]!,
        SequencePattern sequence => _table.Concatenate([.. sequence.Parts.Select(Languages)]),
        AlternativePattern alternatives => _table.Union(alternatives.Parts.Select(Languages)),
        RepeatedPattern repeated => _table.Repeat(Languages(repeated.Part), repeated.Min, repeated.Max),
        _ => throw new ArgumentOutOfRangeException(nameof(pattern), pattern, "Not a part of a grammar."),
    };

    private Production Produce(Pattern pattern)
    {
        switch (pattern)
        {
            case RulePattern rule:
                return _regular[rule.Name] is { } language ? _rules.Terminal(language) : new Reference(_others[rule.Name]);
            case SequencePattern sequence:
                return Sequence.Of(_rules, [.. Merge(sequence.Parts)]);
            case var _ when IsRegular(pattern):
                return _rules.Terminal(Languages(pattern));
            case AlternativePattern alternatives:
                return Choice.Of(_rules, alternatives.Parts.Select(Produce));
            case RepeatedPattern repeated:
                return repeated.Max == 0 ? Sequence.Of(_rules) : new Repetition(Produce(repeated.Part), repeated.Min, repeated.Max);
            default:
                throw new ArgumentOutOfRangeException(nameof(pattern), pattern, "Not a part of a grammar.");
        }
    }

    /// <summary>The parts of a sequence, those that mention no rule together with their neighbours.</summary>
    private IEnumerable<Production> Merge(IReadOnlyList<Pattern> parts)
    {
        List<Pattern> merged = [];
        foreach (Pattern part in parts)
        {
            if (!Mentioned(part).Any())
            {
                merged.Add(part);
                continue;
            }
            if (merged.Count > 0) yield return _rules.Terminal(Languages(new SequencePattern(merged)));
            merged.Clear();
            yield return Produce(part);
        }
        if (merged.Count > 0) yield return _rules.Terminal(Languages(new SequencePattern(merged)));
    }
}
