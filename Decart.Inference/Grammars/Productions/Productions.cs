using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>A text of a regular language.</summary>
internal sealed class Terminal(LanguageTable table, Language language) : Production
{
    public Language Language => language;

    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
    {
        if (table.Distances.Of(language) != Distances.Infinite && language != table.EmptyText) into.Add(new Configuration(language, below));
    }

    public override void AddLeftmost(List<Rule> rules) { }

    public override bool FindNullable() => language.IsNullable;

    protected override int FindCost(int depth, bool isSettled) => table.Distances.Of(language);
}

/// <summary>Productions one after the other, from a place in a list on: at least two.</summary>
internal sealed class Sequence : Production
{
    private readonly Production[] _parts;
    private readonly Production[] _from; // what begins at each place
    private readonly int _start;

    private Sequence(Production[] parts, Production[] from, int start) => (_parts, _from, _start) = (parts, from, start);

    /// <summary>Any number of productions, one after the other.</summary>
    public static Production Of(RuleSet rules, params Production[] parts)
    {
        if (parts.Length == 0) return rules.Terminal(rules.Table.EmptyText);
        var from = new Production[parts.Length];
        from[^1] = parts[^1];
        for (int i = parts.Length - 2; i >= 0; i--) from[i] = new Sequence(parts, from, i);
        return from[0];
    }

    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
    {
        for (int i = _start; i < _parts.Length; i++)
        {
            if (i == _parts.Length - 1) _parts[i].Expand(automaton, below, into);
            else if (automaton.TryPush(_from[i + 1], below, out Frame? frame)) _parts[i].Expand(automaton, frame, into);
            if (!_parts[i].IsNullable) return;
        }
    }

    public override void AddLeftmost(List<Rule> rules)
    {
        for (int i = _start; i < _parts.Length; i++)
        {
            _parts[i].AddLeftmost(rules);
            if (!_parts[i].IsNullable) return;
        }
    }

    public override bool FindNullable()
    {
        for (int i = _start; i < _parts.Length; i++)
        {
            if (!_parts[i].FindNullable()) return false;
        }
        return true;
    }

    protected override int FindCost(int depth, bool isSettled)
    {
        int cost = 0;
        for (int i = _start; i < _parts.Length; i++) cost = Distances.Add(cost, _parts[i].Cost(depth, isSettled));
        return cost;
    }
}

/// <summary>Any one of some productions.</summary>
internal sealed class Choice : Production
{
    private readonly Production[] _alternatives;

    private Choice(Production[] alternatives) => _alternatives = alternatives;

    /// <summary>Any of some productions; terminals among them become one.</summary>
    public static Production Of(RuleSet rules, IEnumerable<Production> alternatives)
    {
        Production[] all = [.. alternatives];
        Language[] languages = [.. all.OfType<Terminal>().Select(terminal => terminal.Language)];
        List<Production> merged = [.. all.Where(alternative => alternative is not Terminal)];
        if (languages.Length > 0 || merged.Count == 0) merged.Add(rules.Terminal(rules.Table.Union(languages)));
        return merged.Count == 1 ? merged[0] : new Choice([.. merged]);
    }

    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
    {
        foreach (Production alternative in _alternatives) alternative.Expand(automaton, below, into);
    }

    public override void AddLeftmost(List<Rule> rules)
    {
        foreach (Production alternative in _alternatives) alternative.AddLeftmost(rules);
    }

    public override bool FindNullable() => Array.Exists(_alternatives, alternative => alternative.FindNullable());

    protected override int FindCost(int depth, bool isSettled) => _alternatives.Min(alternative => alternative.Cost(depth, isSettled));
}

/// <summary>A production several times, one after the other.</summary>
/// <param name="body">What is repeated.</param>
/// <param name="min">How often at least.</param>
/// <param name="max">How often at most, at least 1, or <see cref="Language.Unbounded"/>.</param>
internal sealed class Repetition(Production body, int min, int max) : Production
{
    private Repetition? _afterOne;

    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
    {
        if (max == 1) body.Expand(automaton, below, into);
        else if (automaton.TryPush(AfterOne(), below, out Frame? frame)) body.Expand(automaton, frame, into);
    }

    public override void AddLeftmost(List<Rule> rules) => body.AddLeftmost(rules);

    public override bool FindNullable() => min == 0 || body.FindNullable();

    protected override int FindCost(int depth, bool isSettled) => min == 0 ? 0 : Distances.Multiply(body.Cost(depth, isSettled), min);

    private Repetition AfterOne() =>
        _afterOne ??= min == 0 && max == Language.Unbounded ? this : new Repetition(body, Math.Max(min - 1, 0), max == Language.Unbounded ? max : max - 1);
}

/// <summary>What a rule says.</summary>
internal sealed class Reference(Rule rule) : Production
{
    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into) => rule.Body!.Expand(automaton, below, into);

    public override void AddLeftmost(List<Rule> rules) => rules.Add(rule);

    public override bool FindNullable() => rule.IsNullable;

    protected override int FindCost(int depth, bool isSettled) => rule.Costs[depth];
}

/// <summary>A production one level deeper: of those there are only <see cref="Rule.MaxDepth"/>.</summary>
internal sealed class Nested(Production inner) : Production
{
    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into)
    {
        if (Automaton.DepthAbove(below) > 0 && automaton.TryPush(Return.OneLevel, below, out Frame? frame)) inner.Expand(automaton, frame, into);
    }

    public override void AddLeftmost(List<Rule> rules) => inner.AddLeftmost(rules);

    public override bool FindNullable() => inner.FindNullable();

    protected override int FindCost(int depth, bool isSettled) => depth == 0 ? Distances.Infinite : inner.Cost(depth - 1);
}

/// <summary>The end of a level: what stands above it is nested.</summary>
internal sealed class Return : Production
{
    public static Return OneLevel { get; } = new();

    public override void Expand(Automaton automaton, Frame? below, List<Configuration> into) { }

    public override void AddLeftmost(List<Rule> rules) { }

    public override bool FindNullable() => true;

    protected override int FindCost(int depth, bool isSettled) => 0;
}
