using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Automata;

/// <summary>
/// Finds the tokens that may follow at a position. What a state of the automaton allows is found once and shared by all texts. What is put together for each
/// text are the tokens that go beyond a state's end, and the names of members that an object does not have yet. For one thread at a time.
/// </summary>
/// <param name="automaton">The states.</param>
/// <param name="table">The languages of its terminals.</param>
/// <param name="trie">The tokens.</param>
/// <param name="endTokens">The tokens that end a text.</param>
internal sealed class MaskBuilder(Automaton automaton, LanguageTable table, TokenTrie trie, IReadOnlyCollection<int> endTokens)
{
    private const int Unlimited = Distances.Infinite - 1;

    private readonly StateTokenBuilder _tokens = new(automaton, table, trie);
    private readonly NameTokens _names = new(trie);
    private readonly MaskParts _parts = new(trie, endTokens);
    private readonly Dictionary<int, TrieNodes> _single = [];
    private readonly Stack<BranchList> _lists = [];
    private readonly List<NameNode> _taken = [];
    private int _largestCost, _maxCost;

    /// <summary>The tokens that may follow at a position.</summary>
    public AllowedTokens Of(Position position) => position.Allowed ??= Build(position, Unlimited);

    /// <summary>The tokens that may follow so that the text can still be completed.</summary>
    /// <param name="position">The position.</param>
    /// <param name="tokensLeft">How many more tokens there may be after the next.</param>
    public AllowedTokens Of(Position position, int tokensLeft) => Of(position) is var all && all.LargestCost <= tokensLeft ? all : Build(position, tokensLeft);

    private AllowedTokens Build(Position position, int tokensLeft)
    {
        if (_tokens.Trim()) _parts.Forget();
        _parts.Clear();
        (_largestCost, _maxCost) = (0, tokensLeft);
        foreach (Branch branch in position.Branches) Add(branch, TrieNodes.Root);
        if (position.Accepts) _parts.AddEnd();
        return new AllowedTokens(_parts.ToMask(), _largestCost);
    }

    private void Add(in Branch branch, TrieNodes nodes)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (branch.State is null) AddNames(branch.Object!, branch.Names, nodes);
        else AddState(branch.State, branch.Next, nodes);
    }

    private void AddState(State state, Continuation? next, TrieNodes nodes)
    {
        StateTokens tokens = _tokens.Below(state, nodes);
        int largest = Distances.Add(tokens.LargestCost, next?.Cost ?? 0);
        _largestCost = Math.Max(_largestCost, largest);
        OtherName? name = next as OtherName;
        bool isLimited = largest > _maxCost;
        if (isLimited) tokens = _tokens.Within(state, nodes, _maxCost - (name?.CostBehind ?? next?.Cost ?? 0));
        _parts.Add(tokens);
        if (name is { HasTaken: true }) ExcludeTaken(name, state, nodes);
        foreach ((TrieNodes exits, State at) in tokens.Exits)
        {
            if (name is null or { IsComplete: true }) Leave(at, next, exits);
            else LeaveName(at, name, nodes, exits);
        }
    }

    /// <summary>Adds what follows behind a state's end.</summary>
    private void Leave(State state, Continuation? next, TrieNodes nodes)
    {
        BranchList branches = Borrow();
        branches.Leave(state, next);
        AddAll(branches, nodes);
    }

    /// <summary>The same where the text in between must be known.</summary>
    private void LeaveName(State state, OtherName name, TrieNodes from, TrieNodes exits)
    {
        foreach (int exit in exits.Nodes)
        {
            foreach (int node in from.Nodes)
            {
                if (exit > node && exit < trie.End(node) && name.TryRead(Between(node, exit), out Continuation next)) Leave(state, next, Single(exit));
            }
        }
    }

    /// <summary>Takes back, from the tokens of a new name, those that lead through one that is taken.</summary>
    private void ExcludeTaken(OtherName name, State state, TrieNodes nodes)
    {
        _taken.Clear();
        _taken.AddRange(_names.Below(name.Known, nodes));
        _names.Find(name.Others, nodes, _taken);
        foreach ((int place, NameRange alike) in _taken)
        {
            bool isForbidden = alike.IsComplete || (_maxCost < Unlimited && IsTooLong(name, state, trie.Path(place)[^(alike.Length - name.Length)..]));
            int end = alike.IsComplete ? trie.End(place) : place + 1;
            for (int forbidden = place; isForbidden && forbidden < end; forbidden++) _parts.Exclude(forbidden);
        }
    }

    /// <summary>Whether some bytes of a name leave too much: it must still become another than those that are taken.</summary>
    private bool IsTooLong(OtherName name, State state, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes) state = automaton.After(state, value);
        return !name.TryRead(bytes, out Continuation after) || Distances.Add(state.Cost, after.Cost) > _maxCost;
    }

    private void AddNames(OpenObject @object, NameRange names, TrieNodes nodes)
    {
        MemberSet available = @object.Available;
        int largest = @object.LargestCostOfNames;
        _largestCost = Math.Max(_largestCost, largest);
        bool isLimited = largest > _maxCost || !table.Distances.HasAllBytes;
        foreach ((int place, NameRange alike) in _names.Below(names, nodes))
        {
            if (!available.HasAny(alike.From, alike.To)) continue;
            if (trie.HasToken(place) && (!isLimited || @object.CanComplete(alike, _maxCost))) _parts.Add(place);
            if (!alike.IsComplete || !trie.GoesOn(place)) continue;
            BranchList branches = Borrow();
            branches.AddComplete(@object, alike);
            AddAll(branches, Single(place));
        }
    }

    private void AddAll(BranchList branches, TrieNodes nodes)
    {
        foreach (ref readonly Branch branch in branches.Branches) Add(branch, nodes);
        _lists.Push(branches);
    }

    private BranchList Borrow()
    {
        if (!_lists.TryPop(out BranchList? branches)) return new BranchList(automaton);
        branches.Clear();
        return branches;
    }

    private TrieNodes Single(int node)
    {
        ref TrieNodes? known = ref CollectionsMarshal.GetValueRefOrAddDefault(_single, node, out _);
        return known ??= new TrieNodes(node);
    }

    private ReadOnlySpan<byte> Between(int node, int further) => trie.Path(further)[trie.Path(node).Length..];
}
