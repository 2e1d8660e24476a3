namespace Decart.Inference.Memory;

/// <summary>
/// One of the equal ranges of addresses, a slot of the reservation, and the pages that are mapped there: first those that a sequence holds, then parked ones,
/// which are free and stay mapped for the next sequence. Owned by the engine's thread.
/// </summary>
internal abstract class KvRange
{
    private const int None = AddressRanges.Unmapped;

    private MappedPages _pages = new();
    private long _since;
    private bool _broken;

    /// <param name="memory">What it is part of.</param>
    /// <param name="slot">Its slot.</param>
    protected KvRange(KvMemory memory, int slot)
    {
        Memory = memory;
        Slot = slot;
    }

    /// <summary>Which of the memory's ranges it is.</summary>
    public int Slot { get; }

    /// <summary>How far the keys and values here reach.</summary>
    public ref KvExtent Extent => ref Memory.Extent(Slot);

    /// <summary>Pages that the sequence holds, those mapped ahead of need included.</summary>
    public int Pages { get; private set; }

    /// <summary>Pages that stay mapped here though they are free.</summary>
    public int Parked { get; private set; }

    /// <summary>Whether it waits in <see cref="KvMemory"/>'s queue of ranges with parked pages.</summary>
    public bool IsQueued { get; set; }

    protected KvMemory Memory { get; }

    protected PageGeometry Geometry => Memory.Geometry;

    /// <summary>The physical page at an index below <see cref="Pages"/>.</summary>
    public int Page(int index) => _pages[index].Page;

    /// <summary>A new use begins: calls that have failed before a ticket concern the previous one.</summary>
    public void Begin(long since)
    {
        _since = since;
        _broken = false;
    }

    /// <summary>Gives up the parked page with the highest index.</summary>
    public int GiveUpParked()
    {
        int index = _pages.Last(), page = TakeParked(index);
        Memory.Map.Unmap(Slot, index, 1, _pages.Clear(index));
        return page;
    }

    /// <summary>What is noted of the page at an index. Its id may be changed.</summary>
    protected ref MappedPage Mapped(int index) => ref _pages[index];

    /// <summary>What is noted of the first pages.</summary>
    protected ReadOnlySpan<MappedPage> First(int count) => _pages.First(count);

    /// <summary>Prefetches what is noted of the page at an index.</summary>
    protected void Fetch(int index) => _pages.Fetch(index);

    /// <summary>Waits until the first pages are mapped.</summary>
    /// <exception cref="VirtualMemoryException">They could not be; the range can only be released.</exception>
    protected void WaitForPages(int count)
    {
        try
        {
            Memory.Map.Wait(Slot, _since, _pages[count - 1].Ticket);
        }
        catch
        {
            _broken = true;
            throw;
        }
    }

    /// <summary>Adds a page that others use, or that is cached.</summary>
    protected bool TryShare(MappedPage page)
    {
        if (!TryTakeRanges(Pages, page.Page, out int freed)) return false;
        Memory.Pool.Reference(page.Page);
        Map(page.Page, freed, page.Id);
        return true;
    }

    /// <summary>Adds a page that holds the first bytes of another, which is in use.</summary>
    protected bool TryAddCopy(int source, long bytes)
    {
        if (!TryAddPage()) return false;
        long ticket = Memory.Map.Copy(Slot, Pages - 1, source, bytes);
        ref MappedPage copy = ref _pages[Pages - 1];
        copy = copy with { Ticket = Math.Max(copy.Ticket, ticket) };
        return true;
    }

    /// <summary>Adds a page with no content worth keeping: the parked one at the next index, or else one that is mapped there.</summary>
    /// <returns>False when there is no page, or no address range for it.</returns>
    protected bool TryAddPage()
    {
        if (_pages.PageAt(Pages) != None)
        {
            long ticket = _pages[Pages].Ticket;
            Put(TakeParked(Pages), ticket, PrefixCache.Root);
            return true;
        }
        if (!Memory.TryTakePage(_pages.PageAt(Pages - 1), out int page)) return false;
        if (!TryTakeRanges(Pages, page, out int freed))
        {
            Memory.Pool.Release(page, keep: false);
            return false;
        }
        Map(page, freed, PrefixCache.Root);
        return true;
    }

    /// <summary>Gives back the pages from an index on, the last one first: of the cached, those nearest to the beginning live longest.</summary>
    /// <remarks>
    /// Pages are unmapped at either end of what is mapped and never in the middle, so that unmapping makes no address ranges: it must work at the
    /// system's limit too.
    /// </remarks>
    protected void Drop(int first)
    {
        int end = Pages;
        while (end > first && CanBeParked(_pages[end - 1].Page)) end--;
        if (first > 0 && end > first)
        {
            end = Pages;
            while (Parked > 0) Memory.Pool.Release(GiveUpParked(), keep: false);
        }
        for (int i = Pages - 1; i >= end; i--) Park(_pages[i].Page);
        int freed = 0;
        for (int i = end - 1; i >= first; i--)
        {
            int page = _pages[i].Page;
            freed += _pages.Clear(i);
            ReleasePage(page);
        }
        if (end > first) Memory.Map.Unmap(Slot, first, end - first, freed);
        Pages = Math.Min(Pages, first);
        Extent.Reserved = Geometry.TokensWithin(Pages);
        Extent.Ready = Math.Min(Extent.Ready, Extent.Reserved);
        if (Parked > 0) Memory.Queue(this);
    }

    protected void ReleasePage(int page) => Memory.Pool.Release(page, keep: Memory.IsIndexed(page));

    /// <summary>
    /// Maps a page at the next index, in place of one that may be parked there. The page and its address ranges have been taken; they are given back if
    /// there is no memory to queue the call.
    /// </summary>
    private void Map(int page, int freed, long id)
    {
        long ticket;
        try
        {
            ticket = Memory.Map.Map(Slot, Pages, page, freed);
        }
        catch
        {
            Memory.Map.Ranges.Return(Math.Max(0, _pages.RangesGained(Pages, page)));
            ReleasePage(page);
            throw;
        }
        if (_pages.PageAt(Pages) != None) Memory.Pool.Release(TakeParked(Pages), keep: false);
        Put(page, ticket, id);
    }

    /// <summary>Takes the address ranges that a page makes which will be mapped at an index; where too few are left, parked pages are given up for them.</summary>
    /// <param name="index">The index.</param>
    /// <param name="page">The page.</param>
    /// <param name="freed">Ranges that the mapping frees.</param>
    /// <returns>False when too few are left; other sessions have been asked for them.</returns>
    private bool TryTakeRanges(int index, int page, out int freed)
    {
        _pages.MakeRoom(index); // what is mapped can then be noted
        while (true)
        {
            int gained = _pages.RangesGained(index, page); // again each time, since parked pages of this cache may have been given up
            freed = Math.Max(0, -gained);
            if (gained <= 0 || Memory.Map.Ranges.TryTake(gained)) return true;
            if (Memory.TryFreeRanges()) continue;
            Memory.Map.Ranges.Ask(gained);
            return false;
        }
    }

    /// <summary>Puts a page at the next index. Its ticket covers all pages before it.</summary>
    private void Put(int page, long ticket, long id)
    {
        if (Pages > 0) ticket = Math.Max(ticket, _pages[Pages - 1].Ticket);
        _pages.Set(Pages++, new MappedPage(page, ticket, id));
        Extent.Reserved = Geometry.TokensWithin(Pages);
    }

    /// <summary>The parked page at an index, which is in use from here on. What is noted there is left to be replaced or cleared.</summary>
    private int TakeParked(int index)
    {
        int page = _pages[index].Page;
        Memory.Pool.TakeParked(page);
        Parked--;
        return page;
    }

    private bool CanBeParked(int page) => !_broken && Memory.Pool.References(page) == 1 && !Memory.IsIndexed(page);

    private void Park(int page)
    {
        Memory.Pool.Park(page);
        Parked++;
    }
}
