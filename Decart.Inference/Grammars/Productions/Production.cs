using Decart.Inference.Grammars.Automata;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>
/// A part of a context-free grammar whose terminals are regular languages. It is expanded from the left while a text is read: into terminals and, for each,
/// the productions that must follow (<see cref="Frame"/>). Immutable once its <see cref="RuleSet"/> is settled, but for what it remembers of answers; for
/// one thread at a time.
/// </summary>
internal abstract class Production
{
    private bool? _isNullable;
    private int[]? _costs;

    /// <summary>Whether nothing at all is one of its texts.</summary>
    public bool IsNullable => _isNullable ??= FindNullable();

    /// <summary>How many tokens complete a text of it, as <see cref="Distances"/> counts.</summary>
    /// <param name="depth">How many levels it may nest.</param>
    /// <param name="isSettled">Whether all rules know theirs for this depth.</param>
    public int Cost(int depth, bool isSettled = true)
    {
        if (!isSettled) return FindCost(depth, isSettled: false);
        if (_costs is null)
        {
            _costs = new int[Rule.MaxDepth + 1];
            _costs.AsSpan().Fill(Distances.Unknown);
        }
        if (_costs[depth] == Distances.Unknown) _costs[depth] = FindCost(depth, isSettled: true);
        return _costs[depth];
    }

    /// <summary>Adds the terminals that its texts may begin with, and what follows each of them.</summary>
    /// <param name="automaton">Makes the frames.</param>
    /// <param name="below">What follows the production.</param>
    /// <param name="into">Where they go.</param>
    public abstract void Expand(Automaton automaton, Frame? below, List<Configuration> into);

    /// <summary>Adds the rules that a text of it may begin with.</summary>
    public abstract void AddLeftmost(List<Rule> rules);

    /// <summary>As <see cref="IsNullable"/>, by what the rules know so far.</summary>
    public abstract bool FindNullable();

    protected abstract int FindCost(int depth, bool isSettled);
}
