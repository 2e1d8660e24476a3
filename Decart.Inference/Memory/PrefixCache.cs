using System.Numerics;

namespace Decart.Inference.Memory;

/// <summary>
/// Finds pages by the tokens whose keys and values they hold. A page is known by its segment, the tokens that begin on it, and by the
/// page before it, so a page stands for all tokens up to its end. Segments are found by a hash chained from page to page and compared token
/// by token: a collision costs time, never an answer. Owned by the engine's thread.
/// </summary>
internal sealed class PrefixCache
{
    /// <summary>The parent of a sequence's first page.</summary>
    public const long Root = 0;

    private const int None = -1;

    // Plain arrays rather than dictionaries: at thousands of sequences every step comes here, and a step costs what it touches.
    private readonly Entry[] _entries;
    private readonly int[] _first; // for the lowest bits of a hash the first page; others follow by Entry.Next
    private readonly int[] _beginnings; // for the lowest bits of such a hash the page that came last
    private readonly ulong _hashMask;
    private long _lastId = Root;

    /// <param name="pages">Number of pages of the pool.</param>
    /// <param name="hashBits">Bits of the hash, 1 to 64; few of them make collisions for tests.</param>
    public PrefixCache(int pages, int hashBits = 64)
    {
        _entries = new Entry[pages];
        int places = (int)BitOperations.RoundUpToPowerOf2(2 * (uint)pages);
        _first = new int[places];
        _beginnings = new int[places];
        Array.Fill(_first, None);
        Array.Fill(_beginnings, None);
        _hashMask = ulong.MaxValue >> (64 - hashBits);
    }

    /// <summary>Whether a page's content can be found here: then it must not change.</summary>
    public bool Holds(int page) => _entries[page].Id != Root;

    /// <summary>Makes a page known, unless one with the same tokens is.</summary>
    /// <param name="parent">The page before it, as its id; <see cref="Root"/> for a first page.</param>
    /// <param name="segment">The tokens that begin on it, not empty.</param>
    /// <param name="page">The page; all of its bytes are written.</param>
    /// <returns>The id that stands for these tokens; null when <paramref name="page"/> is known for others.</returns>
    public long? Add(long parent, ReadOnlySpan<int> segment, int page)
    {
        ulong hash = Hash(parent, segment);
        int known = Find(hash, parent, segment);
        if (known != None) return _entries[known].Id;
        if (Holds(page)) return null;
        ref Entry entry = ref _entries[page];
        int[] tokens = entry.Tokens is { } old && old.Length == segment.Length ? old : new int[segment.Length];
        segment.CopyTo(tokens);
        ulong beginning = Hash(parent, segment[..1]);
        ref int first = ref Place(_first, hash);
        entry = new Entry(++_lastId, parent, hash, beginning, tokens, Next: first);
        first = page;
        Place(_beginnings, beginning) = page;
        return entry.Id;
    }

    /// <summary>Finds the page of a segment.</summary>
    public bool TryFind(long parent, ReadOnlySpan<int> segment, out int page, out long id)
    {
        page = Find(Hash(parent, segment), parent, segment);
        id = page == None ? Root : _entries[page].Id;
        return page != None;
    }

    /// <summary>Finds a page after <paramref name="parent"/> that begins with the first of some tokens.</summary>
    /// <returns>How many of them it has in common, at least 1; 0 without such a page.</returns>
    public int FindBeginning(long parent, ReadOnlySpan<int> tokens, out int page)
    {
        page = tokens.IsEmpty ? None : Place(_beginnings, Hash(parent, tokens[..1]));
        return page != None && _entries[page].Parent == parent ? tokens.CommonPrefixLength(_entries[page].Tokens) : 0;
    }

    /// <summary>A page is not to be found any longer, so that it may change. The pages after it wait, unreachable, for their eviction.</summary>
    public void Forget(int page)
    {
        ref Entry entry = ref _entries[page];
        ref int link = ref Place(_first, entry.Hash);
        while (link != page) link = ref _entries[link].Next;
        link = entry.Next;
        ref int beginning = ref Place(_beginnings, entry.Beginning);
        if (beginning == page) beginning = None;
        entry = new Entry(Root, Root, 0, 0, entry.Tokens, None); // the array is used again
    }

    private int Find(ulong hash, long parent, ReadOnlySpan<int> segment)
    {
        for (int page = Place(_first, hash); page != None; page = _entries[page].Next)
        {
            ref Entry entry = ref _entries[page];
            if (entry.Hash == hash && entry.Parent == parent && segment.SequenceEqual(entry.Tokens)) return page;
        }
        return None;
    }

    private static ref int Place(int[] places, ulong hash) => ref places[hash & (ulong)(places.Length - 1)];

    private ulong Hash(long parent, ReadOnlySpan<int> tokens)
    {
        ulong hash = (ulong)parent * 0xD6E8FEB86659FD93; // far from small numbers, which token ids are
        foreach (int token in tokens)
        {
            hash = (hash ^ (uint)token) * 0x9E3779B97F4A7C15;
            hash ^= hash >> 32;
        }
        return hash & _hashMask;
    }

    /// <param name="Id">Stands for the tokens up to the page's end, never used twice; <see cref="Root"/> while the page is unknown.</param>
    /// <param name="Parent">The id of the page before.</param>
    /// <param name="Hash">Of the parent and the segment.</param>
    /// <param name="Beginning">Hash of the parent and the segment's first token.</param>
    /// <param name="Tokens">The segment.</param>
    /// <param name="Next">The next page whose hash has the same lowest bits.</param>
    private record struct Entry(long Id, long Parent, ulong Hash, ulong Beginning, int[]? Tokens, int Next)
    {
        public int Next = Next; // a field, so that a link to it can be changed where it is
    }
}
