using System.Runtime.CompilerServices;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Automata;

/// <summary>
/// Finds the tokens that a state may go on with. Most depend on the terminal alone that is being read: they are found once for each state of a terminal
/// and shared by all places where it stands. Left are the tokens that go beyond the terminal's end, a few branches of the trie. For one thread at a time.
/// </summary>
/// <param name="automaton">The states.</param>
/// <param name="table">The languages of its terminals.</param>
/// <param name="trie">The tokens.</param>
internal sealed class StateTokenBuilder(Automaton automaton, LanguageTable table, TokenTrie trie)
{
    /// <summary>Parts at the beginning of a language whose bounds are looked at.</summary>
    private const int MaxSpine = 6;

    /// <summary>Bytes of masks, or of lists of tokens, that are remembered; when there are more all are forgotten.</summary>
    private const long MaxRemembered = 64 << 20;

    private readonly Language[] _languages = new Language[trie.LongestToken + 1]; // on the way to a node
    private readonly State[] _states = new State[trie.LongestToken + 1];
    private readonly Dictionary<Language, CountedTokens?> _counted = [];
    private readonly Dictionary<(State, TrieNodes, int MaxCost), StateTokens> _within = [];
    private readonly Dictionary<(Language, int MaxDistance), uint[]> _terminalsWithin = [];
    private readonly List<State> _knownStates = [];
    private readonly List<Language> _knownLanguages = [];
    private long _remembered;

    /// <summary>The tokens that may follow in a state that begins at some nodes, all of them below these.</summary>
    public StateTokens Below(State state, TrieNodes nodes)
    {
        if (nodes == TrieNodes.Root) return Of(state);
        if (state.TokensBelow is { } below && below.TryGetValue(nodes, out StateTokens? known)) return known;
        StateTokens tokens = FindBelow(state, nodes, Distances.Infinite - 1);
        Remember(state, tokens);
        (state.TokensBelow ??= []).Add(nodes, tokens);
        return tokens;
    }

    /// <summary>The tokens that leave at most a certain cost.</summary>
    /// <param name="state">The state.</param>
    /// <param name="nodes">Where it begins.</param>
    /// <param name="maxCost">The cost, up to the end of the state's own text.</param>
    public StateTokens Within(State state, TrieNodes nodes, int maxCost)
    {
        if (_within.TryGetValue((state, nodes, maxCost), out StateTokens? known)) return known;
        StateTokens tokens = nodes == TrieNodes.Root ? Find(state, maxCost) : FindBelow(state, nodes, maxCost);
        _remembered += Bytes(tokens);
        return _within[(state, nodes, maxCost)] = tokens;
    }

    /// <summary>Forgets what is remembered if it is too much.</summary>
    public bool Trim()
    {
        if (_remembered <= MaxRemembered) return false;
        foreach (State state in _knownStates)
        {
            state.Tokens = null;
            state.TokensBelow = null;
        }
        foreach (Language language in _knownLanguages) language.Tokens = null;
        _knownStates.Clear();
        _knownLanguages.Clear();
        _counted.Clear();
        _within.Clear();
        _terminalsWithin.Clear();
        _remembered = 0;
        return true;
    }

    private StateTokens Of(State state)
    {
        if (state.Tokens is { } known) return known;
        StateTokens tokens = Find(state, Distances.Infinite - 1);
        Remember(state, tokens);
        return state.Tokens = tokens;
    }

    private void Remember(State state, StateTokens tokens)
    {
        if (state.Tokens is null && state.TokensBelow is null) _knownStates.Add(state);
        _remembered += Bytes(tokens);
    }

    /// <summary>What it holds beside masks that are shared.</summary>
    private static long Bytes(StateTokens tokens) => (sizeof(int) * tokens.Nodes.Length) + (sizeof(int) * tokens.Exits.Sum(exit => exit.Nodes.Nodes.Length));

    private StateTokens Find(State state, int maxCost)
    {
        List<uint[]> masks = [];
        Beyond beyond = new(automaton, _states, maxCost);
        foreach ((Language language, Frame? frame) in state.Configurations)
        {
            if (language == table.EmptyText) continue;
            int after = frame?.Cost ?? 0;
            LanguageTokens tokens = TokensOf(language);
            if (tokens.LargestDistance <= maxCost - after) Add(tokens, masks, beyond.Nodes);
            else if (after <= maxCost) masks.Add(WithinTerminal(language, maxCost - after));
            beyond.LargestCost = Math.Max(beyond.LargestCost, Distances.Add(tokens.LargestDistance, after));
            foreach (int exit in tokens.Exits)
            {
                State start = automaton.StartOf(frame);
                if (start.IsExit) beyond.Exits.Add((exit, start));
                Walk(exit, start, ref beyond);
            }
        }
        return beyond.Result([.. masks.Distinct()]);
    }

    private StateTokens FindBelow(State state, TrieNodes nodes, int maxCost)
    {
        Beyond beyond = new(automaton, _states, maxCost);
        foreach (int node in nodes.Nodes) Walk(node, state, ref beyond);
        return beyond.Result([]);
    }

    private void Walk(int node, State start, ref Beyond beyond)
    {
        if (!start.HasText) return;
        _states[trie.Path(node).Length] = start;
        trie.Walk(node, ref beyond);
    }

    private static void Add(LanguageTokens tokens, List<uint[]> masks, List<int> nodes)
    {
        if (tokens.Words.Length > 0) masks.Add(tokens.Words);
        nodes.AddRange(tokens.Nodes);
    }

    /// <summary>The tokens within a terminal that leave at most a certain distance.</summary>
    private uint[] WithinTerminal(Language language, int maxDistance)
    {
        if (_terminalsWithin.TryGetValue((language, maxDistance), out uint[]? known)) return known;
        Language alike = Alike(language, MaxSpine, keepsMin: true);
        if (alike != language) return _terminalsWithin[(language, maxDistance)] = WithinTerminal(alike, maxDistance);
        uint[] words;
        if (Counted(language, out Language unlimited) is { } counted)
        {
            words = counted.UpTo(language.Parts[0].Max, WithinTerminal(unlimited, maxDistance));
        }
        else
        {
            words = new uint[trie.MaskWords];
            _languages[0] = language;
            Limited walk = new(table, trie, _languages, maxDistance, words);
            trie.Walk(TokenTrie.Root, ref walk);
        }
        _remembered += sizeof(uint) * words.Length;
        return _terminalsWithin[(language, maxDistance)] = words;
    }

    private LanguageTokens TokensOf(Language language)
    {
        if (language.Tokens is { } known) return known;
        Language alike = Alike(language, MaxSpine);
        if (alike == language) return Remember(language, Find(language));
        LanguageTokens tokens = TokensOf(alike);
        int further = Math.Max(0, table.Distances.Of(language) - table.Distances.Of(alike));
        return Remember(language, new LanguageTokens
        {
            Words = tokens.Words,
            Nodes = tokens.Nodes,
            Exits = tokens.Exits,
            LargestDistance = Distances.Add(tokens.LargestDistance, further),
        });
    }

    private LanguageTokens Remember(Language language, LanguageTokens tokens)
    {
        _knownLanguages.Add(language);
        _remembered += (sizeof(uint) * tokens.Words.Length) + (sizeof(int) * (tokens.Nodes.Length + tokens.Exits.Length));
        return language.Tokens = tokens;
    }

    private LanguageTokens Find(Language language)
    {
        if (Counted(language, out _) is { } counted) return counted.UpTo(language.Parts[0].Max);
        _languages[0] = language;
        Finding walk = new(table, trie, _languages);
        trie.Walk(TokenTrie.Root, ref walk);
        return walk.Result();
    }

    /// <summary>The counts of a limited repetition and what follows it; null for anything else.</summary>
    /// <param name="language">The repetition and what follows.</param>
    /// <param name="unlimited">The same without the limit.</param>
    private CountedTokens? Counted(Language language, out Language unlimited)
    {
        unlimited = language;
        if (language is not { Kind: LanguageKind.Concatenation, Parts: [{ Kind: LanguageKind.Repetition, Min: 0, Max: > 0 } repetition, var tail] }) return null;
        unlimited = table.Concatenate(table.Repeat(repetition.Parts[0], 0), tail);
        if (_counted.TryGetValue(unlimited, out CountedTokens? known)) return known;
        known = CountedTokens.Create(table, trie, repetition.Parts[0], tail, TokensOf(unlimited));
        _counted.Add(unlimited, known);
        _remembered += known?.Bytes ?? 0;
        return known;
    }

    /// <summary>
    /// A language that allows the same tokens: no token is long enough to reach a bound that is far away, so that long texts of bounded length need no mask
    /// for each of their lengths.
    /// </summary>
    /// <param name="language">The language.</param>
    /// <param name="spine">How many parts of it are looked at.</param>
    /// <param name="keepsMin">Whether lower bounds stay, and so how many tokens complete a text.</param>
    private Language Alike(Language language, int spine, bool keepsMin = false)
    {
        switch (language.Kind)
        {
            case LanguageKind.Repetition:
                int max = language.Max > trie.LongestToken && (language.Min == 0 || !keepsMin) ? Language.Unbounded : language.Max;
                return table.Repeat(language.Parts[0], keepsMin ? language.Min : Math.Min(language.Min, trie.LongestToken + 1), max);
            case LanguageKind.Concatenation when spine > 0:
                Language rest = Alike(language.Parts[1], spine - 1, keepsMin);
                return table.Concatenate(Alike(language.Parts[0], 0, keepsMin), rest);
            default:
                return language;
        }
    }

    /// <summary>Follows a terminal that must soon be complete.</summary>
    private readonly struct Limited(LanguageTable table, TokenTrie trie, Language[] path, int maxDistance, uint[] words) : IWalk
    {
        public bool TryEnter(int index, in TokenTrie.Node node)
        {
            Language after = table.After(path[node.Depth - 1], node.Value);
            if (table.Distances.IsDead(after)) return false;
            path[node.Depth] = after;
            if (node.HasToken && table.Distances.Of(after) <= maxDistance) trie.Allow(index, words);
            return after.Kind != LanguageKind.EmptyText;
        }
    }

    /// <summary>Follows the automaton behind the end of a terminal.</summary>
    private struct Beyond(Automaton automaton, State[] path, int maxCost) : IWalk
    {
        public int LargestCost { get; set; }

        public List<int> Nodes { get; } = [];

        public List<(int Node, State State)> Exits { get; } = [];

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool TryEnter(int index, in TokenTrie.Node node)
        {
            State before = path[node.Depth - 1];
            State after = before.AfterByte[node.Value] ?? automaton.After(before, node.Value);
            if (after.IsDead) return false;
            path[node.Depth] = after;
            if (node.HasToken && after.Cost != Distances.Infinite)
            {
                LargestCost = Math.Max(LargestCost, after.Cost);
                if (after.Cost <= maxCost) Nodes.Add(index);
            }
            if (node.End > index + 1 && after.IsExit) Exits.Add((index, after));
            return after.HasText;
        }

        public readonly StateTokens Result(uint[][] masks) => new() { Masks = masks, Nodes = [.. Nodes], Exits = Grouped(), LargestCost = LargestCost };

        private readonly Exit[] Grouped()
        {
            List<(State State, List<int> Nodes)> groups = [];
            foreach ((int node, State state) in Exits)
            {
                int group = groups.FindIndex(other => other.State.LeavesLike(state));
                if (group >= 0) groups[group].Nodes.Add(node);
                else groups.Add((state, [node]));
            }
            return [.. groups.Select(group => new Exit(new TrieNodes([.. group.Nodes.Distinct()]), group.State))];
        }
    }
}
