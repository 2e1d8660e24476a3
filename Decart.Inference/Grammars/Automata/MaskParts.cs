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
    /// <summary>Bytes of masks that are remembered; when there are more all are forgotten.</summary>
    private const long MaxRemembered = 32 << 20;

    /// <summary>Tokens of names that a remembered mask may have: more seldom come again.</summary>
    private const int MaxNodes = 32;

    private readonly Dictionary<Key, TokenMask> _known = [];
    private readonly List<StateTokens> _states = [];
    private readonly List<int> _nodes = [];
    private uint[]? _own;
    private bool _isShared, _ends;

    /// <summary>Begins the next mask.</summary>
    public void Clear()
    {
        _states.Clear();
        _nodes.Clear();
        (_own, _isShared, _ends) = (null, true, false);
    }

    /// <summary>Forgets the masks.</summary>
    public void Forget() => _known.Clear();

    /// <param name="tokens">The tokens of a state.</param>
    /// <param name="isShared">Whether the same object may be a part of further masks.</param>
    public void Add(StateTokens tokens, bool isShared)
    {
        _states.Add(tokens);
        _isShared &= isShared;
    }

    /// <param name="node">The node of a token.</param>
    public void Add(int node) => _nodes.Add(node);

    /// <param name="words">Tokens that this mask alone has; they may become its words.</param>
    public void AddOwn(uint[] words)
    {
        if (_own is null) _own = words;
        else TensorPrimitives.BitwiseOr<uint>(_own, words, _own);
        _isShared = false;
    }

    /// <summary>Adds the tokens that end a text.</summary>
    public void AddEnd() => _ends = true;

    public TokenMask ToMask()
    {
        if (!_isShared || _nodes.Count > MaxNodes) return Build();
        Key key = new([.. _states], [.. _nodes], _ends);
        if (_known.TryGetValue(key, out TokenMask? known)) return known;
        if (_known.Count * (long)trie.MaskWords * sizeof(uint) > MaxRemembered) Forget();
        return _known[key] = Build();
    }

    private TokenMask Build()
    {
        uint[] words = _own ?? new uint[trie.MaskWords];
        foreach (StateTokens tokens in _states)
        {
            foreach (uint[] mask in tokens.Masks) TensorPrimitives.BitwiseOr<uint>(words, mask, words);
            foreach (int node in tokens.Nodes) trie.Allow(node, words);
        }
        foreach (int node in _nodes) trie.Allow(node, words);
        if (_ends)
        {
            foreach (int token in endTokens) TokenMask.Allow(words, token);
        }
        return new TokenMask(words);
    }

    /// <summary>Parts by what they are, those of states by their identity.</summary>
    private readonly struct Key(StateTokens[] states, int[] nodes, bool ends) : IEquatable<Key>
    {
        private readonly StateTokens[] _states = states;
        private readonly int[] _nodes = nodes;
        private readonly bool _ends = ends;

        public bool Equals(Key other) => _ends == other._ends && _nodes.AsSpan().SequenceEqual(other._nodes) && _states.AsSpan().SequenceEqual(other._states);

        public override bool Equals(object? obj) => obj is Key other && Equals(other);

        public override int GetHashCode()
        {
            HashCode hash = default;
            hash.Add(_ends);
            foreach (StateTokens tokens in _states) hash.Add(RuntimeHelpers.GetHashCode(tokens));
            hash.AddBytes(MemoryMarshal.AsBytes(_nodes.AsSpan()));
            return hash.ToHashCode();
        }
    }
}
