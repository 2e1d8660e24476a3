namespace Decart.Inference.Grammars.Automata;

/// <summary>Where a state is complete, or an object's body begins, while longer tokens go on.</summary>
/// <param name="Nodes">The nodes of the trie where it is so.</param>
/// <param name="State">A state there: what may follow it is the same for all.</param>
internal readonly record struct Exit(TrieNodes Nodes, State State);

/// <summary>Which tokens a state may go on with, whatever the object around it goes on with. Immutable.</summary>
internal sealed class StateTokens
{
    /// <summary>Masks of the vocabulary, of which all tokens may follow; shared, never to be changed.</summary>
    public required uint[][] Masks { get; init; }

    /// <summary>Further tokens, as nodes of the trie.</summary>
    public required int[] Nodes { get; init; }

    public required Exit[] Exits { get; init; }

    /// <summary>The largest cost that one of the tokens leaves, up to the end of the state's own text, or more.</summary>
    public required int LargestCost { get; init; }
}
