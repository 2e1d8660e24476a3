namespace Decart.Inference.Memory;

/// <summary>
/// The account of the physical pages: how often each is used, which are free, and which are unused but cached, in the order of their
/// last use. Owned by the engine's thread; any thread may read the counts.
/// </summary>
internal sealed class PagePool
{
    private const int None = -1;

    private readonly Page[] _pages;
    private readonly FreePages _free;
    private int _oldest = None, _newest = None;
    private int _freeCount, _parkedCount, _cachedCount;

    /// <param name="pages">Number of pages; all are free.</param>
    public PagePool(int pages)
    {
        _pages = new Page[pages];
        _free = new FreePages(pages);
        _freeCount = pages;
    }

    public int Total => _pages.Length;

    /// <summary>Pages without a holder and without content worth keeping, mapped or not.</summary>
    public int Free => Volatile.Read(ref _freeCount) + Volatile.Read(ref _parkedCount);

    /// <summary>Unused pages whose content may be used again.</summary>
    public int Cached => Volatile.Read(ref _cachedCount);

    public int InUse => Total - Free - Cached;

    /// <summary>The cached page that was used longest ago.</summary>
    public int? OldestCached => _oldest == None ? null : _oldest;

    /// <summary>The cached page that was used next after a cached one.</summary>
    public int? CachedAfter(int page) => _pages[page].Newer == None ? null : _pages[page].Newer;

    /// <summary>The cached pages, that used longest ago first. For the engine's thread.</summary>
    public IEnumerable<int> CachedPages
    {
        get
        {
            for (int? page = OldestCached; page is { } number; page = CachedAfter(number)) yield return number;
        }
    }

    /// <summary>Prefetches the account of a page.</summary>
    public void Fetch(int page) => Prefetch.Element(_pages, page);

    /// <summary>How many sequences use a page.</summary>
    public int References(int page) => _pages[page].References;

    /// <summary>Takes a free page that is not parked; its first use.</summary>
    /// <param name="before">The sequence's page before it, or -1: where the one after that is free, it is taken, and else a new run begins.</param>
    /// <param name="page">The page.</param>
    public bool TryTake(int before, out int page)
    {
        page = None;
        if (_freeCount == 0) return false;
        page = before != None && _free.Contains(before + 1) ? before + 1 : BeginRun();
        _free.Remove(page);
        _freeCount--;
        _pages[page].References = 1;
        return true;
    }

    /// <summary>One more sequence uses a page, which is in use or cached.</summary>
    public void Reference(int page)
    {
        if (_pages[page].References++ == 0) Unlink(page);
    }

    /// <summary>One sequence fewer uses a page. After the last the page is cached or free.</summary>
    public void Release(int page, bool keep)
    {
        if (--_pages[page].References > 0) return;
        if (keep) Link(page);
        else AddFree(page);
    }

    /// <summary>A page that one sequence uses becomes free but stays mapped where it is.</summary>
    public void Park(int page)
    {
        _pages[page].References = 0;
        _parkedCount++;
    }

    /// <summary>A parked page is used where it is mapped, or taken away from there.</summary>
    public void TakeParked(int page)
    {
        _pages[page].References = 1;
        _parkedCount--;
    }

    /// <summary>A cached page becomes free.</summary>
    public void Evict(int page)
    {
        Unlink(page);
        AddFree(page);
    }

    private void AddFree(int page)
    {
        _free.Add(page);
        _freeCount++;
    }

    /// <summary>Where free pages follow one in use, its sequence may grow into them: it is left half.</summary>
    private int BeginRun()
    {
        (int first, int length) = _free.FindRun();
        return first > 0 && _pages[first - 1].References > 0 ? first + (length / 2) : first;
    }

    private void Link(int page)
    {
        (_pages[page].Older, _pages[page].Newer) = (_newest, None);
        if (_newest == None) _oldest = page;
        else _pages[_newest].Newer = page;
        _newest = page;
        _cachedCount++;
    }

    private void Unlink(int page)
    {
        (int older, int newer) = (_pages[page].Older, _pages[page].Newer);
        if (older == None) _oldest = newer;
        else _pages[older].Newer = newer;
        if (newer == None) _newest = older;
        else _pages[newer].Older = older;
        _cachedCount--;
    }

    private struct Page
    {
        public int References;

        /// <summary>Neighbours in the list of cached pages.</summary>
        public int Older, Newer;
    }
}
