using System.Buffers.Binary;
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

    private readonly Node[] _nodes;
    private readonly int[] _sameBytes; // for each id the next one with the same bytes
    private readonly byte[] _bytes;

    private struct Node
    {
        public int End; // one past the last node of its branch
        public int Token;
        public int Path; // where the bytes up to this node lie
        public ushort Depth;
        public byte Value;
    }

    /// <param name="vocabularySize">One more than the largest id of the model.</param>
    /// <param name="tokens">The tokens' bytes by id; those that are empty take no part.</param>
    public TokenTrie(int vocabularySize, IReadOnlyList<ReadOnlyMemory<byte>> tokens)
    {
        VocabularySize = vocabularySize;
        int[] order = Sort(tokens);
        _sameBytes = new int[tokens.Count];
        _sameBytes.AsSpan().Fill(None);
        _bytes = new byte[order.Sum(id => tokens[id].Length)];
        List<Node> nodes = new(order.Length * 3) { new Node { Token = None } };
        List<int> path = [Root];
        int at = 0;
        ReadOnlySpan<byte> previous = default;
        foreach (int id in order)
        {
            ReadOnlySpan<byte> bytes = tokens[id].Span;
            bytes.CopyTo(_bytes.AsSpan(at));
            int common = previous.CommonPrefixLength(bytes);
            Close(nodes, path, common + 1);
            for (int depth = common; depth < bytes.Length; depth++)
            {
                path.Add(nodes.Count);
                nodes.Add(new Node { Token = None, Path = at, Depth = (ushort)(depth + 1), Value = bytes[depth] });
            }
            AddToken(nodes, path[^1], id);
            LongestToken = Math.Max(LongestToken, bytes.Length);
            if (bytes.Length == 1) SingleBytes |= ByteSet.Of(bytes[0]);
            previous = bytes;
            at += bytes.Length;
        }
        Close(nodes, path, 0);
        _nodes = [.. nodes];
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

    public int Depth(int node) => _nodes[node].Depth;

    public byte Value(int node) => _nodes[node].Value;

    /// <summary>The node after the last one of a branch.</summary>
    public int End(int node) => _nodes[node].End;

    public bool HasToken(int node) => _nodes[node].Token != None;

    /// <summary>The bytes on the way to a node.</summary>
    public ReadOnlySpan<byte> Path(int node) => _bytes.AsSpan(_nodes[node].Path, _nodes[node].Depth);

    /// <summary>The child for a byte, or -1.</summary>
    public int Child(int node, byte value)
    {
        for (int child = node + 1; child < _nodes[node].End; child = _nodes[child].End)
        {
            if (_nodes[child].Value == value) return child;
        }
        return None;
    }

    /// <summary>Allows the tokens that end at a node.</summary>
    public void Allow(int node, Span<uint> mask)
    {
        for (int id = _nodes[node].Token; id != None; id = _sameBytes[id]) TokenMask.Allow(mask, id);
    }

    private static int[] Sort(IReadOnlyList<ReadOnlyMemory<byte>> tokens)
    {
        int[] ids = [.. Enumerable.Range(0, tokens.Count).Where(id => !tokens[id].IsEmpty && tokens[id].Length <= ushort.MaxValue)];
        ulong[] beginnings = [.. ids.Select(id => Beginning(tokens[id].Span))];
        Array.Sort(beginnings, ids);
        for (int start = 0; start < ids.Length;)
        {
            int end = start + 1;
            while (end < ids.Length && beginnings[end] == beginnings[start]) end++;
            if (end - start > 1) ids.AsSpan(start, end - start).Sort((a, b) => tokens[a].Span.SequenceCompareTo(tokens[b].Span) is not 0 and int order ? order : a.CompareTo(b));
            start = end;
        }
        return ids;
    }

    private static ulong Beginning(ReadOnlySpan<byte> bytes)
    {
        Span<byte> first = stackalloc byte[sizeof(ulong)];
        first.Clear();
        bytes[..Math.Min(bytes.Length, first.Length)].CopyTo(first);
        return BinaryPrimitives.ReadUInt64BigEndian(first);
    }

    private void AddToken(List<Node> nodes, int node, int id)
    {
        Node changed = nodes[node];
        if (changed.Token != None) _sameBytes[id] = changed.Token;
        changed.Token = id;
        nodes[node] = changed;
    }

    /// <summary>Notes where the branches of all nodes but the first <paramref name="kept"/> of the path end.</summary>
    private static void Close(List<Node> nodes, List<int> path, int kept)
    {
        for (int i = path.Count - 1; i >= kept; i--) nodes[path[i]] = nodes[path[i]] with { End = nodes.Count };
        path.RemoveRange(kept, path.Count - kept);
    }
}
