namespace Decart.Inference.Grammars.Automata;

/// <summary>Which tokens a terminal may go on with, whatever follows it: what masks have in common.</summary>
internal sealed class LanguageTokens
{
    /// <summary>More tokens than this are kept as a mask.</summary>
    public const int MostListed = 512;

    /// <summary>Tokens that lie within the terminal, as a mask of the vocabulary; empty where they are listed.</summary>
    public uint[] Words { get; init; } = [];

    /// <summary>The same as nodes of the trie; empty where they are a mask.</summary>
    public int[] Nodes { get; init; } = [];

    /// <summary>Nodes at which the terminal may be complete while longer tokens go on.</summary>
    public int[] Exits { get; init; } = [];

    /// <summary>The largest distance that one of the tokens leaves, or more.</summary>
    public int LargestDistance { get; init; }
}
