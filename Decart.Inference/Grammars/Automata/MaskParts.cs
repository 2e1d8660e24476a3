using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Decart.Inference.Sampling;

namespace Decart.Inference.Grammars.Automata;

/// <summary>The parts of one mask after the other. What is put together of the same parts is one mask. For one thread at a time.</summary>
/// <param name="trie">The tokens.</param>
/// <param name="endTokens">The tokens that end a text.</param>
internal sealed class MaskParts(TokenTrie trie, IReadOnlyCollection<int> endTokens)
{
    /// <summary>Bytes of masks that are remembered, of those from which nothing is excluded and of others; when there are more all of these are forgotten.</summary>
    private const long MaxRemembered = 32 << 20, MaxRememberedWithExclusions = 16 << 20;

    /// <summary>Tokens of names that a remembered mask may have, or may lack: more seldom come again.</summary>
    private const int MaxNodes = 32;

    private readonly Dictionary<Key, TokenMask> _known = [], _knownWithExclusions = [];
    private readonly List<StateTokens> _states = [];
    private readonly List<int> _nodes = [];
    private readonly List<Exclusion> _exclusions = []; // in the order of their states
    private readonly uint[] _left = new uint[trie.MaskWords];
    private bool _ends;

    /// <summary>Begins the next mask.</summary>
    public void Clear()
    {
        _states.Clear();
        _nodes.Clear();
        _exclusions.Clear();
        _ends = false;
    }

    /// <summary>Forgets the masks.</summary>
    public void Forget()
    {
        _known.Clear();
        _knownWithExclusions.Clear();
    }

    /// <param name="tokens">The tokens of a state.</param>
    public void Add(StateTokens tokens) => _states.Add(tokens);

    /// <param name="node">The node of a token.</param>
    public void Add(int node) => _nodes.Add(node);

    /// <summary>Takes a token back from the state that was added last.</summary>
    /// <param name="node">The token's node.</param>
    public void Exclude(int node)
    {
        if (trie.HasToken(node)) _exclusions.Add(new Exclusion(_states.Count - 1, node));
    }

    /// <summary>Adds the tokens that end a text.</summary>
    public void AddEnd() => _ends = true;

    public TokenMask ToMask()
    {
        if (_nodes.Count > MaxNodes || _exclusions.Count > MaxNodes) return Build();
        (Dictionary<Key, TokenMask> masks, long most) = _exclusions.Count == 0 ? (_known, MaxRemembered) : (_knownWithExclusions, MaxRememberedWithExclusions);
        Key key = new([.. _states], [.. _nodes], [.. _exclusions], _ends);
        if (masks.TryGetValue(key, out TokenMask? known)) return known;
        if (masks.Count * (long)trie.MaskWords * sizeof(uint) > most) masks.Clear();
        return masks[key] = Build();
    }

    private TokenMask Build()
    {
        uint[] words = new uint[trie.MaskWords];
        int next = 0;
        for (int state = 0; state < _states.Count; state++)
        {
            int first = next;
            while (next < _exclusions.Count && _exclusions[next].State == state) next++;
            if (first == next) Add(_states[state], words);
            else AddWithout(_states[state], CollectionsMarshal.AsSpan(_exclusions)[first..next], words);
        }
        foreach (int node in _nodes) trie.Allow(node, words);
        if (_ends)
        {
            foreach (int token in endTokens) TokenMask.Allow(words, token);
        }
        return new TokenMask(words);
    }

    private void Add(StateTokens tokens, Span<uint> words)
    {
        foreach (uint[] mask in tokens.Masks) TensorPrimitives.BitwiseOr(words, mask, words);
        foreach (int node in tokens.Nodes) trie.Allow(node, words);
    }

    /// <summary>Adds what is left of a state's tokens; another state may still have what is excluded.</summary>
    private void AddWithout(StateTokens tokens, ReadOnlySpan<Exclusion> exclusions, Span<uint> words)
    {
        Array.Clear(_left);
        Add(tokens, _left);
        foreach (Exclusion exclusion in exclusions) trie.Forbid(exclusion.Node, _left);
        TensorPrimitives.BitwiseOr(words, _left, words);
    }

    /// <summary>A token that is taken back from a state, by its node.</summary>
    private readonly record struct Exclusion(int State, int Node);

    /// <summary>Parts by what they are, those of states by their identity.</summary>
    private readonly struct Key(StateTokens[] states, int[] nodes, Exclusion[] exclusions, bool ends) : IEquatable<Key>
    {
        private readonly StateTokens[] _states = states;
        private readonly int[] _nodes = nodes;
        private readonly Exclusion[] _exclusions = exclusions;
        private readonly bool _ends = ends;

        public bool Equals(Key other) =>
            _ends == other._ends && _nodes.AsSpan().SequenceEqual(other._nodes) && _exclusions.AsSpan().SequenceEqual(other._exclusions) && _states.AsSpan().SequenceEqual(other._states);

        public override bool Equals(object? obj) => obj is Key other && Equals(other);

        public override int GetHashCode()
        {
            HashCode hash = default;
            hash.Add(_ends);
            foreach (StateTokens tokens in _states) hash.Add(RuntimeHelpers.GetHashCode(tokens));
            hash.AddBytes(MemoryMarshal.AsBytes(_nodes.AsSpan()));
            hash.AddBytes(MemoryMarshal.AsBytes(_exclusions.AsSpan()));
            return hash.ToHashCode();
        }
    }
}
