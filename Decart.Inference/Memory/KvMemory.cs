namespace Decart.Inference.Memory;

/// <summary>
/// The memory of all keys and values: a pool of physical pages, the ranges of the sequences that they are mapped in, and the index of
/// their content. Owned by the engine's thread; any thread may read the pool's counts.
/// </summary>
internal sealed class KvMemory : IDisposable
{
    private readonly List<KvCache> _caches = [];
    private readonly Stack<KvCache> _free = [];
    private readonly Queue<KvRange> _parked = [];
    private readonly KvExtent[] _extents; // of each slot, as the next
    private readonly KvView[] _views;

    /// <param name="map">Maps pages; owned from here on.</param>
    /// <param name="prefixes">Finds pages by their tokens; null when no prefixes are shared.</param>
    public KvMemory(IPageMap map, PrefixCache? prefixes)
    {
        Map = map;
        Prefixes = prefixes;
        Pool = new PagePool(map.Pages);
        _extents = new KvExtent[map.Slots];
        _views = new KvView[map.Slots];
    }

    public IPageMap Map { get; }

    public PrefixCache? Prefixes { get; }

    public PagePool Pool { get; }

    public PageGeometry Geometry => Map.Geometry;

    /// <summary>The most tokens that a sequence can have when it is alone.</summary>
    public int CapacityTokens => Geometry.TokensWithin(Pool.Total);

    /// <summary>Pages that can be had without taking any from a sequence.</summary>
    public int AvailablePages => Pool.Free + Pool.Cached;

    /// <summary>Pages and address ranges that are available.</summary>
    public KvNeed Room => new(AvailablePages, Map.Ranges.Available);

    /// <summary>How far the cache of a slot reaches.</summary>
    public ref KvExtent Extent(int slot) => ref _extents[slot];

    /// <summary>Where kernels find the tokens of a slot that has been rented.</summary>
    public ref readonly KvView View(int slot) => ref _views[slot];

    /// <summary>All caches that have been used so far.</summary>
    public IReadOnlyList<KvCache> Caches => _caches;

    /// <summary>Where a cache collects what it finds.</summary>
    public List<MappedPage> Found { get; } = [];

    /// <summary>Whether the prefix cache holds a page, so that its content must not change.</summary>
    public bool IsIndexed(int page) => Prefixes is not null && Prefixes.Holds(page);

    /// <summary>What a sequence needs beyond what it keeps or would share with sequences that use it.</summary>
    /// <param name="tokens">The sequence.</param>
    /// <param name="kept">What it keeps.</param>
    /// <param name="rotaryLength">See <see cref="KvView.RotaryLength"/>.</param>
    /// <param name="reusable">The most tokens that it may share.</param>
    public KvNeed Needs(ReadOnlySpan<int> tokens, KvCache? kept, int rotaryLength = 0, int reusable = int.MaxValue)
    {
        int pages = Geometry.PagesFor(tokens.Length);
        if (kept is not null) return KvNeed.OfNewPages(Math.Max(0, pages - kept.Pages));
        if (Prefixes is null) return KvNeed.OfNewPages(pages);
        long parent = PrefixCache.RootOf(rotaryLength);
        int shareable = Geometry.FullPages(Math.Min(tokens.Length - 1, reusable)), found = 0, inUse = 0, seams = 0, before = AddressRanges.Unmapped;
        for (; found < shareable; found++)
        {
            int begin = Geometry.TokensTouching(found), end = Geometry.TokensTouching(found + 1);
            if (end > tokens.Length || !Prefixes.TryFind(parent, tokens[begin..end], out int page, out parent)) break;
            if (Pool.References(page) > 0) inUse++;
            seams += AddressRanges.Seam(before, page);
            before = page;
        }
        KvNeed rest = KvNeed.OfNewPages(pages - found);
        return new KvNeed(pages - inUse, rest.Ranges + seams);
    }

    /// <summary>Whether what a sequence needs can be had without taking anything from others of this session.</summary>
    /// <param name="need">What it needs.</param>
    /// <param name="spare">How much of each is to be left.</param>
    public bool HasRoomFor(KvNeed need, int spare)
    {
        if (need.Pages + spare > AvailablePages) return false;
        while (need.Ranges + spare > Map.Ranges.Available)
        {
            if (TryFreeRanges()) continue;
            Map.Ranges.Ask(need.Ranges + spare);
            return false;
        }
        return true;
    }

    /// <summary>Frees address ranges that nobody needs.</summary>
    /// <returns>False when there are none.</returns>
    public bool TryFreeRanges()
    {
        int before = Map.Ranges.Taken;
        Map.Finish();
        while (Map.Ranges.Taken == before && NextParked() is { } range)
        {
            while (range.Parked > 0) Pool.Release(range.GiveUpParked(), keep: false);
            Map.Finish();
        }
        return Map.Ranges.Taken < before;
    }

    /// <summary>An empty cache, or null when all slots are in use.</summary>
    /// <param name="rotaryLength">See <see cref="KvView.RotaryLength"/>.</param>
    public KvCache? Rent(int rotaryLength = 0)
    {
        if (!_free.TryPop(out KvCache? cache))
        {
            if (_caches.Count == Map.Slots) return null;
            _views[_caches.Count] = Map.View(_caches.Count);
            cache = new KvCache(this, _caches.Count);
            _caches.Add(cache);
        }
        _views[cache.Slot] = _views[cache.Slot] with { RotaryLength = rotaryLength };
        cache.Begin(Map.LastTicket + 1);
        return cache;
    }

    /// <summary>Takes a cache back; see <see cref="KvCache.Release"/>.</summary>
    public void Return(KvCache cache) => _free.Push(cache);

    /// <summary>Notes that a range has parked pages.</summary>
    public void Queue(KvRange range)
    {
        if (range.IsQueued) return;
        range.IsQueued = true;
        _parked.Enqueue(range);
    }

    /// <summary>Takes a page that holds nothing worth keeping, else the one whose content was used longest ago.</summary>
    /// <param name="before">The sequence's page before it, or -1.</param>
    /// <param name="page">The page.</param>
    /// <returns>False when all pages are in use.</returns>
    public bool TryTakePage(int before, out int page)
    {
        if (Pool.TryTake(before, out page)) return true;
        if (NextParked() is { } range)
        {
            page = range.GiveUpParked();
            return true;
        }
        Evict();
        return Pool.TryTake(before, out page);
    }

    public void Dispose() => Map.Dispose();

    /// <summary>The range whose parked pages go next.</summary>
    private KvRange? NextParked()
    {
        while (_parked.TryPeek(out KvRange? range))
        {
            if (range.Parked > 0) return range;
            range.IsQueued = false;
            _parked.Dequeue();
        }
        return null;
    }

    /// <summary>Frees some of the cached pages: those of one sequence lie side by side, and together they make a run.</summary>
    private void Evict()
    {
        const int LongestRun = 32, Share = 16;
        for (int count = Math.Clamp(Pool.Cached / Share, 1, LongestRun); count > 0 && Pool.OldestCached is { } oldest; count--)
        {
            Prefixes!.Forget(oldest);
            Pool.Evict(oldest);
            FetchAhead(Prefixes);
        }
    }

    /// <summary>Prefetches what the eviction of the next pages needs: with thousands of sequences, every step evicts hundreds.</summary>
    private void FetchAhead(PrefixCache prefixes)
    {
        if (Pool.OldestCached is not { } soon) return;
        prefixes.FetchBucket(soon);
        if (Pool.CachedAfter(soon) is not { } later) return;
        prefixes.FetchEntry(later);
        Pool.Fetch(later);
    }
}
