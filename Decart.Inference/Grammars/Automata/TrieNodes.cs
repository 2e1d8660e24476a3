namespace Decart.Inference.Grammars.Automata;

/// <summary>Nodes of the trie at which one and the same thing begins. What is found out about it there is remembered by this object's identity.</summary>
internal sealed class TrieNodes(params int[] nodes)
{
    public static TrieNodes Root { get; } = new(TokenTrie.Root);

    public ReadOnlySpan<int> Nodes => nodes;
}
