using System.Numerics;
using System.Runtime.InteropServices;

namespace Decart.Inference.Memory;

/// <summary>
/// Finds pages by the tokens whose keys and values they hold. A page is indexed by its segment, the tokens that begin on it, and by the
/// page before it, so that it stands for all tokens up to its end. Segments are found by a hash chained from page to page and compared token
/// by token: a collision costs time, never an answer. Owned by the engine's thread.
/// </summary>
internal sealed class PrefixCache
{
    /// <summary>The parent of a sequence's first page.</summary>
    public const long Root = 0;

    private const int None = -1;

    // Plain arrays rather than dictionaries: at thousands of sequences every step comes here, and a step costs what it touches.
    private readonly Entry[] _entries;
    private readonly int[] _tokens; // of each page's segment, in pieces of the longest
    private readonly int _longest;
    private readonly int[] _first; // for the lowest bits of a hash the first page; others follow by Entry.Next
    private readonly int[] _beginnings; // for the lowest bits of the hash of a segment's first token the page that came last, perhaps forgotten since
    private readonly ulong _hashMask;
    private long _lastId = Root;

    /// <param name="pages">Number of pages of the pool.</param>
    /// <param name="longestSegment">The most tokens that begin on a page.</param>
    /// <param name="hashBits">Bits of the hash, 1 to 64; few of them make collisions for tests.</param>
    public PrefixCache(int pages, int longestSegment, int hashBits = 64)
    {
        _tokens = new int[checked(pages * longestSegment)];
        _longest = longestSegment;
        _entries = new Entry[pages];
        int buckets = (int)BitOperations.RoundUpToPowerOf2(2 * (uint)pages);
        _first = new int[buckets];
        _beginnings = new int[buckets];
        Array.Fill(_first, None);
        Array.Fill(_beginnings, None);
        _hashMask = ulong.MaxValue >> (64 - hashBits);
    }

    /// <summary>The parent of first pages whose keys are rotated for a length: pages of another are never found by their tokens.</summary>
    /// <param name="rotaryLength">See <see cref="KvView.RotaryLength"/>.</param>
    public static long RootOf(int rotaryLength) => Root - rotaryLength;

    /// <summary>Whether a page's content can be found here: then it must not change.</summary>
    public bool Holds(int page) => _entries[page].Id != Root;

    /// <summary>Indexes a page, unless one with the same tokens is indexed already.</summary>
    /// <param name="parent">The page before it, as its id; <see cref="Root"/> for a first page.</param>
    /// <param name="segment">The tokens that begin on it, not empty.</param>
    /// <param name="page">The page; all of its bytes are written.</param>
    /// <returns>The id that stands for these tokens; null when <paramref name="page"/> is indexed by others.</returns>
    public long? Add(long parent, ReadOnlySpan<int> segment, int page)
    {
        ulong hash = Hash(parent, segment);
        int known = Find(hash, parent, segment);
        if (known != None) return _entries[known].Id;
        if (Holds(page)) return null;
        segment.CopyTo(_tokens.AsSpan(page * _longest, _longest));
        int bucket = Bucket(hash);
        _entries[page] = new Entry { Id = ++_lastId, Parent = parent, Length = segment.Length, Bucket = bucket, Next = _first[bucket] };
        _first[bucket] = page;
        _beginnings[Bucket(Hash(parent, segment[..1]))] = page;
        return _lastId;
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
        page = tokens.IsEmpty ? None : _beginnings[Bucket(Hash(parent, tokens[..1]))];
        return page != None && Holds(page) && _entries[page].Parent == parent ? tokens.CommonPrefixLength(Segment(page)) : 0;
    }

    /// <summary>Removes a page, so that it may change. The pages after it can no longer be reached and wait for their eviction.</summary>
    public void Forget(int page)
    {
        ref Entry entry = ref _entries[page];
        ref int link = ref _first[entry.Bucket];
        while (link != page) link = ref _entries[link].Next;
        link = entry.Next;
        entry.Id = Root;
    }

    /// <summary>Prefetches what <see cref="Add"/> looks up.</summary>
    public void FetchAhead(long parent, ReadOnlySpan<int> segment, int page)
    {
        FetchEntry(page);
        Prefetch.Element(_first, Bucket(Hash(parent, segment)));
    }

    /// <summary>Prefetches the entry of a page that will be forgotten. Before <see cref="FetchBucket"/>.</summary>
    public void FetchEntry(int page) => Prefetch.Element(_entries, page);

    /// <summary>Prefetches the bucket of a page that will soon be forgotten.</summary>
    public void FetchBucket(int page) => Prefetch.Element(_first, _entries[page].Bucket);

    private int Find(ulong hash, long parent, ReadOnlySpan<int> segment)
    {
        int page = _first[Bucket(hash)];
        while (page != None && !(_entries[page].Parent == parent && segment.SequenceEqual(Segment(page)))) page = _entries[page].Next;
        return page;
    }

    private ReadOnlySpan<int> Segment(int page) => _tokens.AsSpan(page * _longest, _entries[page].Length);

    private int Bucket(ulong hash) => (int)(hash & (ulong)(_first.Length - 1));

    private ulong Hash(long parent, ReadOnlySpan<int> tokens)
    {
        ulong hash = (ulong)parent * 0xD6E8FEB86659FD93; // far from small numbers, which token ids are
        foreach (ulong pair in MemoryMarshal.Cast<int, ulong>(tokens)) hash = Mix(hash, pair);
        if (int.IsOddInteger(tokens.Length)) hash = Mix(hash, (uint)tokens[^1]);
        return hash & _hashMask;

        static ulong Mix(ulong hash, ulong tokens)
        {
            hash = (hash ^ tokens) * 0x9E3779B97F4A7C15;
            return hash ^ (hash >> 32);
        }
    }

    /// <summary>One page. 32 bytes.</summary>
    private struct Entry
    {
        /// <summary>Stands for the tokens up to the page's end, never used twice; <see cref="Root"/> while the page is not indexed.</summary>
        public long Id;

        /// <summary>The id of the page before.</summary>
        public long Parent;

        /// <summary>Tokens of the segment.</summary>
        public int Length;

        /// <summary>Where in <see cref="_first"/> it is found.</summary>
        public int Bucket;

        /// <summary>The next page of the same bucket.</summary>
        public int Next;
    }
}
