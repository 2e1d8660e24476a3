using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Sampling;

namespace Decart.Inference.Grammars.Automata;

/// <summary>
/// The tokens that text can be made of, as a tree of their bytes. Nodes lie in the order of a walk that visits a node before its children, so that a walk
/// reads them one after the other and passes over a branch by going to its end. Immutable.
/// </summary>
internal sealed class TokenTrie
{
    public const int Root = 0;

    private const int None = -1;

    /// <summary>A node with more children has a table of them.</summary>
    private const int FewChildren = 32;

    /// <summary>Longer tokens take no part.</summary>
    private const int MaxTokenBytes = 4096;

    private readonly Node[] _nodes;
    private readonly int[] _paths; // for each node where the bytes up to it lie
    private readonly int[] _sameBytes; // for each id the next one with the same bytes
    private readonly byte[] _bytes;
    private readonly Dictionary<int, int[]> _manyChildren = []; // of those that have many, by their byte; 0 for none

    /// <summary>A place that tokens lead to or end at.</summary>
    public struct Node
    {
        /// <summary>One past the last node of its branch.</summary>
        public int End;

        /// <summary>A token that ends here, or -1.</summary>
        public int Token;

        /// <summary>How many bytes lead here.</summary>
        public ushort Depth;

        /// <summary>The last of them.</summary>
        public byte Value;

        public readonly bool HasToken => Token != None;
    }

    /// <param name="vocabularySize">One more than the largest id of the model.</param>
    /// <param name="tokens">The tokens' bytes by id; those that are empty take no part.</param>
    public TokenTrie(int vocabularySize, ReadOnlySpan<ReadOnlyMemory<byte>> tokens)
    {
        VocabularySize = vocabularySize;
        _bytes = Flatten(tokens, out int[] starts);
        int[] order = Sort(_bytes, starts);
        _sameBytes = new int[tokens.Length];
        _sameBytes.AsSpan().Fill(None);
        List<Node> nodes = new((order.Length * 2) + 16) { new Node { Token = None } };
        List<int> paths = new(nodes.Capacity) { 0 };
        List<int> path = [Root];
        ReadOnlySpan<byte> previous = default;
        foreach (int id in order)
        {
            ReadOnlySpan<byte> bytes = _bytes.AsSpan(starts[id]..starts[id + 1]);
            int common = previous.CommonPrefixLength(bytes);
            Close(nodes, path, common + 1);
            for (int depth = common; depth < bytes.Length; depth++)
            {
                path.Add(nodes.Count);
                nodes.Add(new Node { Token = None, Depth = (ushort)(depth + 1), Value = bytes[depth] });
                paths.Add(starts[id]);
            }
            ref Node last = ref CollectionsMarshal.AsSpan(nodes)[path[^1]];
            _sameBytes[id] = last.Token;
            last.Token = id;
            LongestToken = Math.Max(LongestToken, bytes.Length);
            if (bytes.Length == 1) SingleBytes |= ByteSet.Of(bytes[0]);
            previous = bytes;
        }
        Close(nodes, path, 0);
        _nodes = [.. nodes];
        _paths = [.. paths];
        TabulateChildren();
    }

    /// <summary>One more than the largest id of the model.</summary>
    public int VocabularySize { get; }

    /// <summary>Bytes of the longest token.</summary>
    public int LongestToken { get; }

    /// <summary>The bytes that are tokens by themselves.</summary>
    public ByteSet SingleBytes { get; }

    /// <summary>Number of nodes.</summary>
    public int Count => _nodes.Length;

    /// <summary>Words of a mask of the vocabulary.</summary>
    public int MaskWords => TokenMask.WordCount(VocabularySize);

    /// <summary>The node after the last one of a branch.</summary>
    public int End(int node) => _nodes[node].End;

    /// <summary>Whether tokens go on below a node.</summary>
    public bool GoesOn(int node) => _nodes[node].End > node + 1;

    /// <summary>The byte that leads to a node.</summary>
    public byte Value(int node) => _nodes[node].Value;

    /// <summary>The node that a byte leads to; <see cref="Root"/> for none.</summary>
    public int Child(int node, byte value)
    {
        if (_manyChildren.TryGetValue(node, out int[]? table)) return table[value];
        int child = node + 1, end = _nodes[node].End;
        while (child < end && _nodes[child].Value < value) child = _nodes[child].End;
        return child < end && _nodes[child].Value == value ? child : Root;
    }

    public bool HasToken(int node) => _nodes[node].Token != None;

    /// <summary>The bytes on the way to a node.</summary>
    public ReadOnlySpan<byte> Path(int node) => _bytes.AsSpan(_paths[node], _nodes[node].Depth);

    /// <summary>Allows the tokens that end at a node.</summary>
    public void Allow(int node, Span<uint> mask)
    {
        for (int id = _nodes[node].Token; id != None; id = _sameBytes[id]) TokenMask.Allow(mask, id);
    }

    /// <summary>Forbids the tokens that end at a node.</summary>
    public void Forbid(int node, Span<uint> mask)
    {
        for (int id = _nodes[node].Token; id != None; id = _sameBytes[id]) TokenMask.Forbid(mask, id);
    }

    /// <summary>Walks all nodes below one.</summary>
    /// <remarks>Few walks are long, so that the first must be fast already.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Walk<TWalk>(int below, ref TWalk walk)
        where TWalk : struct, IWalk
    {
        Node[] nodes = _nodes;
        int end = nodes[below].End;
        for (int i = below + 1; i < end;)
        {
            ref readonly Node node = ref nodes[i];
            i = walk.TryEnter(i, node) ? i + 1 : node.End;
        }
    }

    private void TabulateChildren()
    {
        int[] parents = new int[LongestToken + 1], children = new int[_nodes.Length];
        for (int node = 1; node < _nodes.Length; node++)
        {
            int depth = _nodes[node].Depth;
            parents[depth] = node;
            if (++children[parents[depth - 1]] == FewChildren + 1) _manyChildren.Add(parents[depth - 1], new int[256]);
        }
        foreach ((int node, int[] table) in _manyChildren)
        {
            for (int child = node + 1; child < _nodes[node].End; child = _nodes[child].End) table[_nodes[child].Value] = child;
        }
    }

    /// <summary>The bytes of all tokens, one after the other.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="starts">Where each begins, and where the last ends.</param>
    private static byte[] Flatten(ReadOnlySpan<ReadOnlyMemory<byte>> tokens, out int[] starts)
    {
        starts = new int[tokens.Length + 1];
        for (int id = 0; id < tokens.Length; id++) starts[id + 1] = starts[id] + (tokens[id].Length <= MaxTokenBytes ? tokens[id].Length : 0);
        byte[] bytes = new byte[starts[^1]];
        for (int id = 0; id < tokens.Length; id++)
        {
            if (starts[id + 1] > starts[id]) tokens[id].Span.CopyTo(bytes.AsSpan(starts[id]));
        }
        return bytes;
    }

    /// <summary>The ids of the tokens that have bytes, in the order of these.</summary>
    private static int[] Sort(byte[] bytes, int[] starts)
    {
        int count = 0;
        int[] ids = new int[starts.Length - 1];
        ulong[] beginnings = new ulong[ids.Length];
        for (int id = 0; id < starts.Length - 1; id++)
        {
            if (starts[id + 1] == starts[id]) continue;
            beginnings[count] = Beginning(Of(id));
            ids[count++] = id;
        }
        Array.Resize(ref ids, count);
        Array.Resize(ref beginnings, count);
        Array.Sort(beginnings, ids);
        for (int start = 0; start < ids.Length;)
        {
            int end = start + 1;
            while (end < ids.Length && beginnings[end] == beginnings[start]) end++;
            if (end - start > 1) ids.AsSpan(start, end - start).Sort((a, b) => Of(a).SequenceCompareTo(Of(b)) is not 0 and int order ? order : a.CompareTo(b));
            start = end;
        }
        return ids;

        ReadOnlySpan<byte> Of(int id) => bytes.AsSpan(starts[id]..starts[id + 1]);
    }

    private static ulong Beginning(ReadOnlySpan<byte> bytes)
    {
        Span<byte> first = stackalloc byte[sizeof(ulong)];
        first.Clear();
        bytes[..Math.Min(bytes.Length, first.Length)].CopyTo(first);
        return BinaryPrimitives.ReadUInt64BigEndian(first);
    }

    /// <summary>Notes where the branches of all nodes but the first <paramref name="kept"/> of the path end.</summary>
    private static void Close(List<Node> nodes, List<int> path, int kept)
    {
        Span<Node> all = CollectionsMarshal.AsSpan(nodes);
        for (int i = path.Count - 1; i >= kept; i--) all[path[i]].End = all.Length;
        path.RemoveRange(kept, path.Count - kept);
    }
}
