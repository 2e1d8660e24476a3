using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Automata;

/// <summary>One way in which a text may go on: a state of the automaton, or the name of a member.</summary>
/// <param name="State">The state; null for a name.</param>
/// <param name="Next">What follows the state; null for the end of the text.</param>
/// <param name="Object">The object whose member is named; null for a state.</param>
/// <param name="Names">The names that begin with what has been read of one.</param>
internal readonly record struct Branch(State? State, Continuation? Next, OpenObject? Object, NameRange Names)
{
    public Branch(State state, Continuation? next)
        : this(state, next, null, default)
    {
    }

    public Branch(OpenObject @object, NameRange names)
        : this(null, null, @object, names)
    {
    }

    /// <summary>How many tokens complete the text.</summary>
    public int Cost => State is null ? Object!.CostOfNames(Names) : Distances.Add(State.Cost, Next?.Cost ?? 0);
}

/// <summary>A place in a text: all ways in which it may go on. It belongs to one text, and holds what the automaton has no states for.</summary>
/// <param name="branches">The ways.</param>
/// <param name="accepts">Whether the text may end here.</param>
internal sealed class Position(Branch[] branches, bool accepts)
{
    private int? _cost;
    private AllowedTokens? _allowed;

    public Branch[] Branches => branches;

    public bool Accepts => accepts;

    /// <summary>How many tokens complete the text, as <see cref="Distances"/> counts.</summary>
    public int Cost => _cost ??= accepts ? 0 : branches.Length == 0 ? Distances.Infinite : branches.Min(branch => branch.Cost);

    /// <summary>Whether the text is complete and nothing can be added to it.</summary>
    public bool IsAtEnd => accepts && branches.Length == 0;

    /// <summary>Whether nothing may follow, not even the end.</summary>
    public bool IsDead => branches.Length == 0 && !accepts;

    /// <summary>The tokens that may follow, once they have been asked for. Any thread may read it.</summary>
    public AllowedTokens? Allowed
    {
        get => Volatile.Read(ref _allowed);
        set => Volatile.Write(ref _allowed, value);
    }
}
