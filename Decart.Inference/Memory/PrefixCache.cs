namespace Decart.Inference.Memory;

/// <summary>
/// Finds pages by the tokens whose keys and values they hold. A page is known by its segment, the tokens that begin on it, and by the
/// page before it, so a page stands for all tokens up to its end. Segments are found by a hash chained from page to page and compared token
/// by token: a collision costs a hit, never an answer. Owned by the engine's thread.
/// </summary>
internal sealed class PrefixCache
{
    /// <summary>The parent of a sequence's first page.</summary>
    public const long Root = 0;

    private readonly Entry[] _entries;
    private readonly Dictionary<ulong, int> _pages = [];
    private readonly Dictionary<ulong, int> _beginnings = [];
    private readonly ulong _hashMask;
    private long _lastId = Root;

    /// <param name="pages">Number of pages of the pool.</param>
    /// <param name="hashBits">Bits of the hash, 1 to 64; few of them make collisions for tests.</param>
    public PrefixCache(int pages, int hashBits = 64)
    {
        _entries = new Entry[pages];
        _hashMask = ulong.MaxValue >> (64 - hashBits);
    }

    /// <summary>Whether a page's content can be found here: then it must not change.</summary>
    public bool Holds(int page) => _entries[page].Id != Root;

    /// <summary>Makes a page known, unless one with the same tokens is.</summary>
    /// <param name="parent">The page before it, as its id; <see cref="Root"/> for a first page.</param>
    /// <param name="segment">The tokens that begin on it, not empty.</param>
    /// <param name="page">The page; all of its bytes are written.</param>
    /// <returns>The id that stands for these tokens; null when a collision is in the way, or when <paramref name="page"/> is known for other tokens.</returns>
    public long? Add(long parent, ReadOnlySpan<int> segment, int page)
    {
        ulong hash = Hash(parent, segment);
        if (_pages.TryGetValue(hash, out int known)) return Matches(known, parent, segment) ? _entries[known].Id : null;
        if (Holds(page)) return null;
        ref Entry entry = ref _entries[page];
        int[] tokens = entry.Tokens is { } old && old.Length == segment.Length ? old : new int[segment.Length];
        segment.CopyTo(tokens);
        ulong beginning = Hash(parent, segment[..1]);
        entry = new Entry(++_lastId, parent, hash, beginning, tokens);
        _pages.Add(hash, page);
        _beginnings[beginning] = page;
        return entry.Id;
    }

    /// <summary>Finds the page of a segment.</summary>
    public bool TryFind(long parent, ReadOnlySpan<int> segment, out int page, out long id)
    {
        id = Root;
        if (!_pages.TryGetValue(Hash(parent, segment), out page) || !Matches(page, parent, segment)) return false;
        id = _entries[page].Id;
        return true;
    }

    /// <summary>Finds a page after <paramref name="parent"/> that begins with the first of some tokens.</summary>
    /// <returns>How many of them it has in common, at least 1; 0 without such a page.</returns>
    public int FindBeginning(long parent, ReadOnlySpan<int> tokens, out int page)
    {
        if (tokens.IsEmpty)
        {
            page = 0;
            return 0;
        }
        if (!_beginnings.TryGetValue(Hash(parent, tokens[..1]), out page)) return 0;
        Entry entry = _entries[page];
        return entry.Parent == parent ? tokens.CommonPrefixLength(entry.Tokens) : 0;
    }

    /// <summary>A page is not to be found any longer, so that it may change. The pages after it wait, unreachable, for their eviction.</summary>
    public void Forget(int page)
    {
        ref Entry entry = ref _entries[page];
        _pages.Remove(entry.Hash);
        if (_beginnings.TryGetValue(entry.Beginning, out int first) && first == page) _beginnings.Remove(entry.Beginning);
        entry = new Entry(Root, Root, 0, 0, entry.Tokens); // the array is used again
    }

    private bool Matches(int page, long parent, ReadOnlySpan<int> segment) =>
        _entries[page].Parent == parent && segment.SequenceEqual(_entries[page].Tokens);

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
    private readonly record struct Entry(long Id, long Parent, ulong Hash, ulong Beginning, int[]? Tokens);
}
