using System.Numerics.Tensors;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;
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
    private readonly TrieWalk<Language> _languages = new(trie);
    private readonly TrieWalk<State> _states = new(trie);

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
        Within walked = new(table, trie, maxDistance, words);
        _languages.Run(TokenTrie.Root, language, ref walked);
    }

    /// <summary>Adds the tokens that go on behind the end of a terminal.</summary>
    /// <returns>The largest cost that one leaves.</returns>
    private int AddBeyond(int exit, State start, int maxCost, uint[] words)
    {
        Beyond walked = new(automaton, trie, maxCost, words);
        _states.Run(exit, start, ref walked);
        return walked.LargestCost;
    }

    private bool TryCapture(Frame? frame, int exit, out Frame? captured)
    {
        captured = frame;
        if (frame?.Production is not KeyCapture) return true;
        foreach (byte value in trie.Path(exit))
        {
            if (!automaton.TryCapture(captured, value, out captured)) return false;
        }
        return true;
    }

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
        Finding walked = new(table, trie, []);
        _languages.Run(TokenTrie.Root, language, ref walked);
        uint[] words = [];
        if (walked.Nodes.Count > LanguageTokens.MostListed)
        {
            words = new uint[trie.MaskWords];
            foreach (int node in walked.Nodes) trie.Allow(node, words);
            walked.Nodes.Clear();
        }
        return new LanguageTokens { Words = words, Nodes = [.. walked.Nodes], Exits = [.. walked.Exits], LargestDistance = walked.LargestDistance };
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
            case LanguageKind.Union when language.Parts.Length <= MaxSpine && spine > 0:
                return table.Union(language.Parts.Select(part => Alike(part, spine - 1)));
            default:
                return language;
        }
    }

    /// <summary>Follows a terminal.</summary>
    private struct Finding(LanguageTable table, TokenTrie trie, List<int> nodes) : IWalked<Language>
    {
        public readonly List<int> Nodes => nodes;

        public List<int> Exits { get; } = [];

        public int LargestDistance { get; private set; }

        public readonly Language? After(Language state, byte value) => Next(table, state, value);

        public void Visit(int node, Language state)
        {
            if (trie.HasToken(node) && table.Distances.Of(state) != Distances.Infinite)
            {
                nodes.Add(node);
                LargestDistance = Math.Max(LargestDistance, state.Distance);
            }
            if (state.IsNullable && trie.End(node) > node + 1) Exits.Add(node);
        }
    }

    /// <summary>Follows a terminal that must soon be complete.</summary>
    private readonly struct Within(LanguageTable table, TokenTrie trie, int maxDistance, uint[] words) : IWalked<Language>
    {
        public Language? After(Language state, byte value) => Next(table, state, value);

        public void Visit(int node, Language state)
        {
            if (trie.HasToken(node) && table.Distances.Of(state) <= maxDistance) trie.Allow(node, words);
        }
    }

    /// <summary>Follows the whole grammar.</summary>
    private struct Beyond(Automaton automaton, TokenTrie trie, int maxCost, uint[] words) : IWalked<State>
    {
        public int LargestCost { get; private set; }

        public readonly State? After(State state, byte value) => automaton.After(state, value) is { IsDead: false } after ? after : null;

        public void Visit(int node, State state)
        {
            if (!trie.HasToken(node) || state.Cost == Distances.Infinite) return;
            LargestCost = Math.Max(LargestCost, state.Cost);
            if (state.Cost <= maxCost) trie.Allow(node, words);
        }
    }

    private static Language? Next(LanguageTable table, Language state, byte value)
    {
        Language after = table.After(state, value);
        return table.Distances.IsDead(after) ? null : after;
    }
}
