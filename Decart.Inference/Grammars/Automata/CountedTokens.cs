using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Automata;

/// <summary>
/// How many units of a repetition each token takes, for texts of limited length: what a limit leaves of the tokens is what the repetition allows without
/// one, less those that take too many. So that a limit of a thousand characters does not cost a thousand walks over all tokens.
/// </summary>
internal sealed class CountedTokens
{
    private readonly TokenTrie _trie;
    private readonly LanguageTokens _unlimited;
    private readonly ushort[] _counts; // for each node how many units have begun there
    private readonly ushort[] _most; // for each branch the largest of its counts

    private CountedTokens(TokenTrie trie, LanguageTokens unlimited, ushort[] counts)
    {
        _trie = trie;
        _unlimited = unlimited;
        _counts = counts;
        _most = [.. counts];
        int[] path = new int[trie.LongestToken + 1];
        int depth = 0;
        for (int node = 1; node < counts.Length; node++)
        {
            for (; trie.End(path[depth]) <= node; depth--) _most[path[depth - 1]] = Math.Max(_most[path[depth - 1]], _most[path[depth]]);
            path[++depth] = node;
        }
        for (; depth > 0; depth--) _most[path[depth - 1]] = Math.Max(_most[path[depth - 1]], _most[path[depth]]);
    }

    /// <summary>What it holds.</summary>
    public long Bytes => sizeof(ushort) * ((long)_counts.Length + _most.Length);

    /// <summary>Counts the units of tokens.</summary>
    /// <param name="table">The languages.</param>
    /// <param name="trie">The tokens.</param>
    /// <param name="unit">What is repeated.</param>
    /// <param name="tail">What follows.</param>
    /// <param name="unlimited">The tokens of any number of units and what follows.</param>
    /// <returns>Null where a text can be divided into units in several ways.</returns>
    public static CountedTokens? Create(LanguageTable table, TokenTrie trie, Language unit, Language tail, LanguageTokens unlimited)
    {
        for (int value = 0; value < 256; value++)
        {
            if (table.After(unit, (byte)value) != table.Nothing && table.After(tail, (byte)value) != table.Nothing) return null;
        }
        Counting walk = new(table, unit, tail, new Language?[trie.LongestToken + 1], new ushort[trie.Count], trie.LongestToken);
        trie.Walk(TokenTrie.Root, ref walk);
        return walk.IsAmbiguous ? null : new CountedTokens(trie, unlimited, walk.Counts);
    }

    /// <summary>The tokens of at most a number of units.</summary>
    public LanguageTokens UpTo(int units) => new()
    {
        Words = _unlimited.Words.Length > 0 ? UpTo(units, _unlimited.Words) : [],
        Nodes = Array.FindAll(_unlimited.Nodes, node => _counts[node] <= units),
        Exits = Array.FindAll(_unlimited.Exits, node => _counts[node] <= units),
        LargestDistance = _unlimited.LargestDistance,
    };

    /// <summary>Those of some tokens that have at most a number of units.</summary>
    /// <param name="units">The number.</param>
    /// <param name="tokens">A mask of tokens that any number of units and what follows may begin with.</param>
    public uint[] UpTo(int units, ReadOnlySpan<uint> tokens)
    {
        uint[] words = [.. tokens];
        for (int node = 1; node < _counts.Length;)
        {
            int end = _trie.End(node);
            if (_most[node] <= units)
            {
                node = end;
            }
            else if (_counts[node] <= units)
            {
                node++;
            }
            else
            {
                for (; node < end; node++) _trie.Forbid(node, words);
            }
        }
        return words;
    }

    /// <summary>The walk that counts. Between two units there is no state; after the last it is what the tail still needs.</summary>
    private struct Counting(LanguageTable table, Language unit, Language tail, Language?[] path, ushort[] counts, int longest) : IWalk
    {
        private readonly ushort[] _begun = new ushort[longest + 1];
        private readonly bool[] _isTail = new bool[longest + 1];

        public bool IsAmbiguous { get; private set; }

        public readonly ushort[] Counts => counts;

        public bool TryEnter(int index, in TokenTrie.Node node)
        {
            int depth = node.Depth;
            Language? before = path[depth - 1];
            Language after = table.After(before ?? unit, node.Value);
            bool begins = before is null && after != table.Nothing;
            if (before is null && !begins) after = table.After(tail, node.Value);
            if (after == table.Nothing) return false;
            _begun[depth] = (ushort)(_begun[depth - 1] + (begins ? 1 : 0));
            _isTail[depth] = _isTail[depth - 1] || (before is null && !begins);
            bool ends = after == table.EmptyText && !_isTail[depth];
            IsAmbiguous |= !_isTail[depth] && after.IsNullable && !ends;
            path[depth] = ends ? null : after;
            counts[index] = _begun[depth];
            return !IsAmbiguous;
        }
    }
}
