namespace Decart.Inference.Grammars.Automata;

/// <summary>What a walk over the trie follows. A struct, so that each kind of walk is compiled for itself.</summary>
internal interface IWalk
{
    /// <summary>Goes on to a node from the one above it.</summary>
    /// <param name="index">The node's index.</param>
    /// <param name="node">The node.</param>
    /// <returns>Whether what lies below the node is to be walked.</returns>
    bool TryEnter(int index, in TokenTrie.Node node);
}
