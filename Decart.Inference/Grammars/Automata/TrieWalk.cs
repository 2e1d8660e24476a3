namespace Decart.Inference.Grammars.Automata;

/// <summary>What a walk over the trie follows: states that bytes lead to.</summary>
internal interface IWalked<TState>
    where TState : class
{
    /// <summary>The state after a byte; null where a branch need not be walked.</summary>
    TState? After(TState state, byte value);

    /// <summary>Sees a node that is reached.</summary>
    void Visit(int node, TState state);
}

/// <summary>Walks branches of the trie, as far as an automaton follows.</summary>
internal sealed class TrieWalk<TState>(TokenTrie trie)
    where TState : class
{
    private readonly TState?[] _path = new TState?[trie.LongestToken + 1];

    /// <summary>Walks all nodes below one.</summary>
    /// <param name="below">The node; it is not visited itself.</param>
    /// <param name="start">The state there.</param>
    /// <param name="walked">What is followed.</param>
    public void Run<TWalked>(int below, TState start, ref TWalked walked)
        where TWalked : struct, IWalked<TState>
    {
        TState?[] path = _path;
        path[trie.Depth(below)] = start;
        int end = trie.End(below);
        for (int node = below + 1; node < end;)
        {
            int depth = trie.Depth(node);
            if (walked.After(path[depth - 1]!, trie.Value(node)) is not { } after)
            {
                node = trie.End(node);
                continue;
            }
            path[depth] = after;
            walked.Visit(node, after);
            node++;
        }
    }
}
