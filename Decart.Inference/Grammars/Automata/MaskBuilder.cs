using System.Numerics.Tensors;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Sampling;

namespace Decart.Inference.Grammars.Automata;

/// <summary>
/// Finds the tokens that may follow in a state. Most depend on the terminal alone that is being read: they are found once for each state of a terminal
/// and shared by all places where it stands. Left are the tokens that go beyond the terminal's end, a few branches of the trie. For one thread at a time.
/// </summary>
/// <param name="automaton">The states.</param>
/// <param name="table">The languages of its terminals.</param>
/// <param name="trie">The tokens.</param>
/// <param name="endTokens">The tokens that end a text.</param>
internal sealed class MaskBuilder(Automaton automaton, LanguageTable table, TokenTrie trie, IReadOnlyCollection<int> endTokens)
{
    private readonly Language[] _languages = new Language[trie.LongestToken + 1]; // on the way to a node
    private readonly Dictionary<Language, CountedTokens?> _counted = [];
    private readonly State[] _states = new State[trie.LongestToken + 1];

    /// <summary>The tokens that may follow in a state.</summary>
    public AllowedTokens Of(State state) => state.Allowed ??= Build(state, Distances.Infinite - 1);

    /// <summary>The tokens that may follow so that the text can still be completed.</summary>
    /// <param name="state">The state.</param>
    /// <param name="tokensLeft">How many more tokens there may be after the next.</param>
    public AllowedTokens Of(State state, int tokensLeft) => Of(state) is var all && all.LargestCost <= tokensLeft ? all : Build(state, tokensLeft);

    private AllowedTokens Build(State state, int tokensLeft)
    {
        uint[] words = new uint[trie.MaskWords];
        int largestCost = 0;
        foreach ((Language language, Frame? frame) in state.Configurations)
        {
            int after = frame?.Cost ?? 0;
            LanguageTokens tokens = TokensOf(language);
            if (tokens.LargestDistance <= tokensLeft - after) Add(tokens, words);
            else if (after <= tokensLeft) AddWithin(language, tokensLeft - after, words);
            largestCost = Math.Max(largestCost, Distances.Add(tokens.LargestDistance, after));
            foreach (int exit in tokens.Exits)
            {
                if (TryCapture(frame, exit, out Frame? captured))
                    largestCost = Math.Max(largestCost, AddBeyond(exit, automaton.StartOf(captured), tokensLeft, words));
            }
        }
        if (state.Accepts)
        {
            foreach (int token in endTokens) TokenMask.Allow(words, token);
        }
        return new AllowedTokens(new TokenMask(words), largestCost);
    }

    private void Add(LanguageTokens tokens, uint[] words)
    {
        if (tokens.Words.Length > 0) TensorPrimitives.BitwiseOr<uint>(words, tokens.Words, words);
        foreach (int node in tokens.Nodes) trie.Allow(node, words);
    }

    /// <summary>Adds the tokens within a terminal that leave at most a certain distance.</summary>
    private void AddWithin(Language language, int maxDistance, uint[] words)
    {
        _languages[0] = language;
        Within walk = new(table, trie, _languages, maxDistance, words);
        trie.Walk(TokenTrie.Root, ref walk);
    }

    /// <summary>Adds the tokens that go on behind the end of a terminal.</summary>
    /// <returns>The largest cost that one leaves.</returns>
    private int AddBeyond(int exit, State start, int maxCost, uint[] words)
    {
        _states[trie.Path(exit).Length] = start;
        Beyond walk = new(automaton, trie, _states, maxCost, words);
        trie.Walk(exit, ref walk);
        return walk.LargestCost;
    }

    private bool TryCapture(Frame? frame, int exit, out Frame? captured) => automaton.TryCapture(frame, trie.Path(exit), out captured);

    private LanguageTokens TokensOf(Language language)
    {
        if (language.Tokens is { } known) return known;
        Language alike = Alike(language, MaxSpine);
        if (alike == language) return language.Tokens = Find(language);
        LanguageTokens tokens = TokensOf(alike);
        int further = Math.Max(0, table.Distances.Of(language) - table.Distances.Of(alike));
        return language.Tokens = new LanguageTokens
        {
            Words = tokens.Words,
            Nodes = tokens.Nodes,
            Exits = tokens.Exits,
            LargestDistance = Distances.Add(tokens.LargestDistance, further),
        };
    }

    private LanguageTokens Find(Language language)
    {
        if (Counted(language) is { } counted) return counted.UpTo(language.Parts[0].Max);
        _languages[0] = language;
        Finding walk = new(table, trie, _languages);
        trie.Walk(TokenTrie.Root, ref walk);
        return walk.Result();
    }

    /// <summary>The counts of a limited repetition and what follows it; null for anything else.</summary>
    private CountedTokens? Counted(Language language)
    {
        if (language is not { Kind: LanguageKind.Concatenation, Parts: [{ Kind: LanguageKind.Repetition, Min: 0, Max: > 0 } repetition, var tail] }) return null;
        Language unlimited = table.Concatenate(table.Repeat(repetition.Parts[0], 0), tail);
        if (_counted.TryGetValue(unlimited, out CountedTokens? known)) return known;
        known = CountedTokens.Create(table, trie, repetition.Parts[0], tail, TokensOf(unlimited));
        _counted.Add(unlimited, known);
        return known;
    }

    /// <summary>Parts at the beginning of a language whose bounds are looked at.</summary>
    private const int MaxSpine = 6;

    /// <summary>
    /// A language that allows the same tokens: no token is long enough to reach a bound that is far away, so that long texts of bounded length need no mask
    /// for each of their lengths.
    /// </summary>
    private Language Alike(Language language, int spine)
    {
        switch (language.Kind)
        {
            case LanguageKind.Repetition:
                int max = language.Max > trie.LongestToken ? Language.Unbounded : language.Max;
                return table.Repeat(language.Parts[0], Math.Min(language.Min, trie.LongestToken + 1), max);
            case LanguageKind.Concatenation when spine > 0:
                Language rest = Alike(language.Parts[1], spine - 1);
                return table.Concatenate(Alike(language.Parts[0], 0), rest);
            default:
                return language;
        }
    }

    /// <summary>Follows a terminal that must soon be complete.</summary>
    private readonly struct Within(LanguageTable table, TokenTrie trie, Language[] path, int maxDistance, uint[] words) : IWalk
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

    /// <summary>Follows the whole grammar.</summary>
    private struct Beyond(Automaton automaton, TokenTrie trie, State[] path, int maxCost, uint[] words) : IWalk
    {
        public int LargestCost { get; private set; }

        public bool TryEnter(int index, in TokenTrie.Node node)
        {
            State after = automaton.After(path[node.Depth - 1], node.Value);
            if (after.IsDead) return false;
            path[node.Depth] = after;
            if (node.HasToken && after.Cost != Distances.Infinite)
            {
                LargestCost = Math.Max(LargestCost, after.Cost);
                if (after.Cost <= maxCost) trie.Allow(index, words);
            }
            return true;
        }
    }
}
