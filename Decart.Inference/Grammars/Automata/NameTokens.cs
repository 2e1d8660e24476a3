using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Automata;

/// <summary>A node of the trie that lies on the way of names.</summary>
/// <param name="Node">The node.</param>
/// <param name="Names">The names that go on as it does.</param>
internal readonly record struct NameNode(int Node, NameRange Names);

/// <summary>Finds the tokens that names of members are made of. For one thread at a time.</summary>
/// <param name="trie">The tokens.</param>
internal sealed class NameTokens(TokenTrie trie)
{
    /// <summary>Nodes that are remembered; when there are more all are forgotten.</summary>
    private const int MaxRemembered = 1 << 20;

    private readonly Dictionary<(NameRange Names, TrieNodes Nodes), NameNode[]> _known = [];
    private int _remembered;

    /// <summary>The nodes below some at which a token ends, or a name that longer tokens go on behind.</summary>
    public NameNode[] Below(NameRange names, TrieNodes nodes)
    {
        if (!names.GoesOn) return [];
        if (_known.TryGetValue((names, nodes), out NameNode[]? known)) return known;
        List<NameNode> found = [];
        Find(names, nodes, found);
        if (_remembered + found.Count > MaxRemembered)
        {
            _known.Clear();
            _remembered = 0;
        }
        _remembered += found.Count;
        return _known[(names, nodes)] = [.. found];
    }

    /// <summary>The same, of names that are not asked for again.</summary>
    public void Find(NameRange names, TrieNodes nodes, List<NameNode> into)
    {
        foreach (int node in nodes.Nodes) Find(names, node, into);
    }

    private void Find(NameRange names, int node, List<NameNode> into)
    {
        if (!names.GoesOn || !trie.GoesOn(node)) return;
        for (ByteSet bytes = names.NextBytes; !bytes.IsEmpty; bytes &= ~ByteSet.Of(bytes.Smallest))
        {
            int child = trie.Child(node, bytes.Smallest);
            if (child == TokenTrie.Root) continue;
            NameRange after = names.After(bytes.Smallest);
            if (trie.HasToken(child) || (after.IsComplete && trie.GoesOn(child))) into.Add(new NameNode(child, after));
            Find(after, child, into);
        }
    }
}
