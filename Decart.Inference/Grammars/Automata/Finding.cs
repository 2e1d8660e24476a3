using System.Runtime.CompilerServices;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Automata;

/// <summary>The walk that finds what tokens a terminal may go on with.</summary>
/// <param name="table">The languages of terminals.</param>
/// <param name="trie">The tokens.</param>
/// <param name="path">What the terminal still needs at each depth; the first is given.</param>
internal struct Finding(LanguageTable table, TokenTrie trie, Language[] path) : IWalk
{
    private readonly List<int> _exits = [];
    private readonly int[] _listed = new int[LanguageTokens.MostListed];
    private uint[]? _words;
    private int _count;
    private int _largestDistance;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryEnter(int index, in TokenTrie.Node node)
    {
        Language before = path[node.Depth - 1];
        Language after = before.AfterByte[node.Value] ?? table.After(before, node.Value);
        int distance = after.Distance != Distances.Unknown ? after.Distance : table.Distances.Of(after);
        if (distance == Distances.Infinite && table.Distances.IsDead(after)) return false;
        path[node.Depth] = after;
        if (node.HasToken && distance != Distances.Infinite)
        {
            Allow(index);
            _largestDistance = Math.Max(_largestDistance, distance);
        }
        if (!after.IsNullable) return true;
        if (node.End > index + 1) _exits.Add(index);
        return after.Kind != LanguageKind.EmptyText;
    }

    public readonly LanguageTokens Result() => new()
    {
        Words = _words ?? [],
        Nodes = _words is null ? _listed[.._count] : [],
        Exits = [.. _exits],
        LargestDistance = _largestDistance,
    };

    private void Allow(int node)
    {
        if (_count < _listed.Length)
        {
            _listed[_count++] = node;
            return;
        }
        if (_words is null)
        {
            _words = new uint[trie.MaskWords];
            foreach (int listed in _listed) trie.Allow(listed, _words);
        }
        trie.Allow(node, _words);
    }
}
