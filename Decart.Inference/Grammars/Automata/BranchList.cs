using System.Runtime.InteropServices;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Automata;

/// <summary>The ways to go on at a place in a text, while they are collected. For one thread at a time.</summary>
internal sealed class BranchList(Automaton automaton)
{
    /// <summary>A grammar so ambiguous that there are more loses some of its texts; those that are left are right.</summary>
    private const int MaxBranches = 512;

    private readonly List<Branch> _branches = [];
    private bool _accepts;

    public ReadOnlySpan<Branch> Branches => CollectionsMarshal.AsSpan(_branches);

    public Automaton Automaton => automaton;

    public void Clear()
    {
        _branches.Clear();
        _accepts = false;
    }

    /// <summary>Adds a state, and what follows it where it may be complete.</summary>
    /// <param name="state">The state.</param>
    /// <param name="next">What follows it.</param>
    public void Add(State? state, Continuation? next)
    {
        if (state is null) return;
        if (state.HasText && !Contains(state, next)) _branches.Add(new Branch(state, next));
        Leave(state, next);
    }

    /// <summary>Adds what follows a state: nothing else of it.</summary>
    public void Leave(State state, Continuation? next)
    {
        if (state.Accepts && next is null) _accepts = true;
        else if (state.Accepts) next!.Expand(this);
        foreach (Frame body in state.Bodies) new OpenObject(automaton, body, next).Opening.Expand(this);
    }

    /// <summary>Adds the names of the members that an object may have next.</summary>
    public void AddNames(OpenObject @object, NameRange names)
    {
        if (@object.Available.HasAny(names.From, names.To)) _branches.Add(new Branch(@object, names));
    }

    /// <summary>Takes the ways to go on after one more byte in the place of its own.</summary>
    /// <param name="branches">The ways before it.</param>
    /// <param name="value">The byte.</param>
    public void Read(ReadOnlySpan<Branch> branches, byte value)
    {
        Clear();
        foreach (ref readonly Branch branch in branches) AddAfter(branch, value);
        Limit();
    }

    /// <summary>Adds what follows a name that is complete.</summary>
    public void AddComplete(OpenObject @object, NameRange names)
    {
        if (@object.Available.Has(names.From)) @object.ExpandFromColon(names.From, this);
    }

    /// <param name="before">The position before what was read: most tokens of a string lead to where they began, and all that is known of that place is known of it still.</param>
    public Position ToPosition(Position? before = null) =>
        before is not null && before.Accepts == _accepts && Branches.SequenceEqual(before.Branches) ? before : new Position([.. _branches], _accepts);

    /// <summary>Adds a branch after one more byte.</summary>
    private void AddAfter(in Branch branch, byte value)
    {
        if (branch.State is not null)
        {
            State after = automaton.After(branch.State, value);
            Continuation? next = branch.Next;
            if (!after.IsDead && next?.TryRead(value, out next) is not false) Add(after, next);
            return;
        }
        NameRange names = branch.Names.After(value);
        if (names.IsEmpty) return;
        if (names.GoesOn) AddNames(branch.Object!, names);
        if (names.IsComplete) AddComplete(branch.Object!, names);
    }

    private void Limit()
    {
        if (_branches.Count <= MaxBranches) return;
        // What costs least must stay, or a text that is cut could no longer be completed.
        _branches.Sort((a, b) => a.Cost.CompareTo(b.Cost));
        _branches.RemoveRange(MaxBranches, _branches.Count - MaxBranches);
    }

    private bool Contains(State state, Continuation? next)
    {
        foreach (ref readonly Branch branch in Branches)
        {
            if (branch.State == state && branch.Next == next) return true;
        }
        return false;
    }
}
