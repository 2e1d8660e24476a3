using System.Runtime.InteropServices;

namespace Decart.Inference.Memory;

/// <summary>
/// The range of addresses that holds the keys and values of one sequence: a slot of the reservation and the pages that are mapped there.
/// Sequences that begin with the same tokens share pages; a page is written to only while it has one holder. Owned by the engine's thread.
/// </summary>
/// <remarks>
/// A released range is used again. Its pages that hold nothing worth keeping stay mapped ("parked"), and the next sequence finds them in place.
/// </remarks>
internal sealed class KvCache
{
    private const int None = AddressRanges.Unmapped;

    private readonly KvMemory _memory;
    private readonly int _slot;
    private MappedPages _pages = new();
    private int _held; // the first of them belong to the sequence; later ones are parked or empty
    private int _parked;
    private int _indexed; // the first of them are in the prefix cache
    private long _since;
    private bool _broken;

    /// <param name="memory">What it is part of.</param>
    /// <param name="slot">Its slot.</param>
    public KvCache(KvMemory memory, int slot)
    {
        _memory = memory;
        _slot = slot;
        Reset();
    }

    /// <summary>Where kernels find it; the same as long as the cache lives.</summary>
    public KvView View => _memory.View(_slot);

    /// <summary>Which of the memory's ranges is its own.</summary>
    public int Slot => _slot;

    /// <summary>How far its keys and values reach.</summary>
    public ref KvExtent Extent => ref _memory.Extent(_slot);

    /// <inheritdoc cref="KvView.RotaryLength"/>
    public int RotaryLength => View.RotaryLength;

    /// <inheritdoc cref="KvExtent.Tokens"/>
    public int Tokens => Extent.Tokens;

    /// <summary>Pages that it holds, those mapped ahead of need included.</summary>
    public int Pages => _held;

    /// <summary>Whether it waits in <see cref="KvMemory"/>'s queue of caches with parked pages.</summary>
    public bool IsQueued { get; set; }

    /// <summary>Pages that stay mapped here though they are free.</summary>
    public int Parked => _parked;

    private PageGeometry Geometry => _memory.Geometry;

    /// <summary>The prefix cache's id of the page before the one that is indexed next.</summary>
    private long Parent => _indexed == 0 ? PrefixCache.RootOf(RotaryLength) : _pages[_indexed - 1].Id;

    /// <summary>The physical page at an index below <see cref="Pages"/>.</summary>
    public int Page(int index) => _pages[index].Page;

    /// <summary>A new use begins: calls that have failed before a ticket concern the previous one.</summary>
    public void Begin(long since) => _since = since;

    /// <summary>Shares what the prefix cache has of a sequence's beginning. Only before anything else is stored.</summary>
    /// <param name="tokens">The sequence.</param>
    /// <returns>The tokens found and taken, fewer than there are, so that one is left to compute.</returns>
    public int TakePrefix(ReadOnlySpan<int> tokens)
    {
        if (_memory.Prefixes is not { } prefixes) return 0;
        List<MappedPage> found = _memory.Found;
        found.Clear();
        long parent = PrefixCache.RootOf(RotaryLength);
        while (true)
        {
            int begin = Geometry.TokensTouching(found.Count), end = Geometry.TokensTouching(found.Count + 1);
            if (end > tokens.Length || !prefixes.TryFind(parent, tokens[begin..end], out int page, out long id)) break;
            found.Add(new MappedPage(page, 0, id));
            parent = id;
        }
        int length = Geometry.TokensWithin(found.Count), touched = Geometry.TokensTouching(found.Count);
        int common = prefixes.FindBeginning(parent, tokens[touched..], out int next);
        if (common > 0)
        {
            length = Math.Min(touched + common, Geometry.TokensWithin(found.Count + 1));
            found.Add(new MappedPage(next, 0, PrefixCache.Root));
        }
        TakeOver(CollectionsMarshal.AsSpan(found), Math.Min(length, tokens.Length - 1));
        return Tokens;
    }

    /// <summary>A cache with the same content: full pages are shared, at most one is copied.</summary>
    /// <returns>Null when there is no slot, page or address range for it.</returns>
    public KvCache? Fork()
    {
        if (_memory.Rent(RotaryLength) is not { } fork) return null;
        bool isComplete = false;
        try
        {
            fork.TakeOver(_pages.First(Geometry.PagesFor(Tokens)), Tokens);
            isComplete = fork.Tokens == Tokens;
        }
        finally
        {
            if (!isComplete) fork.Release();
        }
        return isComplete ? fork : null;
    }

    /// <summary>Lays pages under the first <paramref name="tokens"/> tokens.</summary>
    /// <returns>False when there are not enough of them, or of the address ranges that they make; those there were are held.</returns>
    public bool TryReserve(int tokens)
    {
        if (tokens <= Extent.Reserved) return true;
        int pages = Geometry.PagesFor(tokens);
        while (_held < pages)
        {
            if (!TryAddPage()) return false;
        }
        return true;
    }

    /// <summary>Waits until the reserved pages of the first <paramref name="tokens"/> tokens can be read and written.</summary>
    /// <exception cref="VirtualMemoryException">They could not be mapped; the cache can only be released.</exception>
    public void Wait(int tokens)
    {
        if (tokens <= Extent.Ready) return;
        int pages = Geometry.PagesFor(tokens);
        try
        {
            _memory.Map.Wait(_slot, _since, _pages[pages - 1].Ticket);
            Extent.Ready = Geometry.TokensWithin(pages);
        }
        catch
        {
            _broken = true;
            throw;
        }
    }

    /// <summary>Adds full pages to the prefix cache, for sequences that begin alike.</summary>
    /// <param name="tokens">The sequence's first tokens; all of them are stored.</param>
    public void IndexPages(ReadOnlySpan<int> tokens)
    {
        while (tokens.Length >= Extent.NextIndexed) IndexNext(tokens);
    }

    /// <summary>Prefetches what is noted of the page that is indexed next.</summary>
    public void FetchNextPage()
    {
        _pages.Fetch(_indexed - 1);
        _pages.Fetch(_indexed);
    }

    /// <summary>Prefetches what <see cref="IndexPages"/> looks up. After <see cref="FetchNextPage"/>.</summary>
    public void FetchIndex(ReadOnlySpan<int> tokens)
    {
        if (tokens.Length >= Extent.NextIndexed) _memory.Prefixes!.FetchAhead(Parent, NextSegment(tokens), _pages[_indexed].Page);
    }

    /// <summary>Keeps the first tokens only and gives back the pages after them.</summary>
    public void Truncate(int tokens)
    {
        if (tokens >= Tokens) return;
        int full = Geometry.FullPages(tokens);
        Drop(Geometry.PagesFor(tokens));
        Extent.Keep(tokens);
        if (Geometry.PartialBytes(tokens) > 0) MakeWritable(full);
        _indexed = Math.Min(_indexed, full);
        FindNextIndexed();
    }

    /// <summary>Gives everything back. The caller must not use the cache again.</summary>
    public void Release()
    {
        Drop(0);
        Reset();
        _memory.Return(this);
    }

    /// <summary>Gives up the parked page with the highest index.</summary>
    public int GiveUpParked()
    {
        int index = _pages.Last(), page = TakeParked(index);
        _memory.Map.Unmap(_slot, index, 1, _pages.Clear(index));
        return page;
    }

    private void Reset()
    {
        Extent.Keep(0);
        _indexed = 0;
        _broken = false;
        FindNextIndexed();
    }

    /// <summary>Shares the full pages of the first <paramref name="tokens"/> tokens and copies the rest of them; fewer where there is no room.</summary>
    private void TakeOver(ReadOnlySpan<MappedPage> pages, int tokens)
    {
        int full = Geometry.FullPages(tokens);
        long rest = Geometry.PartialBytes(tokens);
        foreach (MappedPage page in pages) _memory.Pool.Reference(page.Page); // so that none is evicted to make room for the others
        bool isComplete;
        try
        {
            while (_held < full && TryShare(pages[_held]))
            {
            }
            isComplete = _held == full && (rest == 0 || TryAddCopy(pages[full].Page, rest));
        }
        finally
        {
            for (int i = pages.Length - 1; i >= 0; i--) ReleasePage(pages[i].Page);
        }
        if (isComplete) Extent.Keep(tokens);
        else KeepFullPages();
        while (_indexed < _held && _pages[_indexed].Id != PrefixCache.Root) _indexed++;
        FindNextIndexed();
    }

    /// <summary>Adds a page that others use, or that is cached.</summary>
    private bool TryShare(MappedPage page)
    {
        if (!TryTakeRanges(_held, page.Page, out int freed)) return false;
        _memory.Pool.Reference(page.Page);
        Map(page.Page, freed, page.Id);
        return true;
    }

    /// <summary>Adds a page that holds the first bytes of another, which is in use.</summary>
    private bool TryAddCopy(int source, long bytes)
    {
        if (!TryAddPage()) return false;
        long ticket = _memory.Map.Copy(_slot, _held - 1, source, bytes);
        ref MappedPage copy = ref _pages[_held - 1];
        copy = copy with { Ticket = Math.Max(copy.Ticket, ticket) };
        return true;
    }

    private bool TryAddPage()
    {
        if (_pages.PageAt(_held) != None)
        {
            long ticket = _pages[_held].Ticket;
            Put(TakeParked(_held), ticket, PrefixCache.Root);
            return true;
        }
        if (!_memory.TryTakePage(_pages.PageAt(_held - 1), out int page)) return false;
        if (!TryTakeRanges(_held, page, out int freed))
        {
            _memory.Pool.Release(page, keep: false);
            return false;
        }
        Map(page, freed, PrefixCache.Root);
        return true;
    }

    /// <summary>
    /// Maps a page at the next index, in place of one that may be parked there. The page and its address ranges have been taken; they are given back where
    /// there is no memory to note the call.
    /// </summary>
    private void Map(int page, int freed, long id)
    {
        long ticket;
        try
        {
            ticket = _memory.Map.Map(_slot, _held, page, freed);
        }
        catch
        {
            _memory.Map.Ranges.Return(Math.Max(0, _pages.RangesGained(_held, page)));
            ReleasePage(page);
            throw;
        }
        if (_pages.PageAt(_held) != None) _memory.Pool.Release(TakeParked(_held), keep: false);
        Put(page, ticket, id);
    }

    /// <summary>Takes the address ranges that a page makes which will be mapped at an index; where too few are left, parked pages are given up for them.</summary>
    /// <param name="index">The index.</param>
    /// <param name="page">The page.</param>
    /// <param name="freed">Ranges that the mapping frees.</param>
    /// <returns>False when there are not so many; other sessions have been asked for them.</returns>
    private bool TryTakeRanges(int index, int page, out int freed)
    {
        _pages.MakeRoom(index); // what is mapped can then be noted
        while (true)
        {
            int gained = _pages.RangesGained(index, page); // again each time, since parked pages of this cache may have been given up
            freed = Math.Max(0, -gained);
            if (gained <= 0 || _memory.Map.Ranges.TryTake(gained)) return true;
            if (_memory.TryFreeRanges()) continue;
            _memory.Map.Ranges.Ask(gained);
            return false;
        }
    }

    /// <summary>Puts a page at the next index. Its ticket covers all pages before it.</summary>
    private void Put(int page, long ticket, long id)
    {
        if (_held > 0) ticket = Math.Max(ticket, _pages[_held - 1].Ticket);
        _pages.Set(_held++, new MappedPage(page, ticket, id));
        Extent.Reserved = Geometry.TokensWithin(_held);
    }

    /// <summary>The parked page at an index, which is in use from here on. What is noted there is left to be replaced or cleared.</summary>
    private int TakeParked(int index)
    {
        int page = _pages[index].Page;
        _memory.Pool.TakeParked(page);
        _parked--;
        return page;
    }

    /// <summary>Gives back the pages from an index on, the last one first: of the cached, those nearest to the beginning live longest.</summary>
    /// <remarks>
    /// Pages are unmapped at either end of what is mapped and never in its midst, so that no unmapping makes address ranges: at the system's limit
    /// it must go on.
    /// </remarks>
    private void Drop(int first)
    {
        int end = _held;
        while (end > first && CanBeParked(_pages[end - 1].Page)) end--;
        if (first > 0 && end > first)
        {
            end = _held;
            while (_parked > 0) _memory.Pool.Release(GiveUpParked(), keep: false);
        }
        for (int i = _held - 1; i >= end; i--) Park(_pages[i].Page);
        int freed = 0;
        for (int i = end - 1; i >= first; i--)
        {
            int page = _pages[i].Page;
            freed += _pages.Clear(i);
            ReleasePage(page);
        }
        if (end > first) _memory.Map.Unmap(_slot, first, end - first, freed);
        _held = Math.Min(_held, first);
        Extent.Reserved = Geometry.TokensWithin(_held);
        Extent.Ready = Math.Min(Extent.Ready, Extent.Reserved);
        if (_parked > 0) _memory.Queue(this);
    }

    private bool CanBeParked(int page) => !_broken && _memory.Pool.References(page) == 1 && !_memory.IsIndexed(page);

    private void Park(int page)
    {
        _memory.Pool.Park(page);
        _parked++;
    }

    /// <summary>Makes the sequence the only holder of the page at an index, the last one held.</summary>
    private void MakeWritable(int index)
    {
        int page = _pages[index].Page;
        if (_memory.Pool.References(page) == 1)
        {
            if (_memory.IsIndexed(page)) _memory.Prefixes!.Forget(page);
            _pages[index] = _pages[index] with { Id = PrefixCache.Root };
            return;
        }
        _memory.Pool.Reference(page);
        Drop(index);
        bool copied;
        try
        {
            copied = TryAddCopy(page, Geometry.PartialBytes(Tokens));
        }
        finally
        {
            ReleasePage(page);
        }
        if (!copied) KeepFullPages();
    }

    /// <summary>Keeps the longest beginning that ends with a page, for want of a page that the rest could be copied to.</summary>
    private void KeepFullPages()
    {
        int pages = _held;
        while (Geometry.PartialBytes(Geometry.TokensWithin(pages)) > 0) pages--;
        Drop(pages);
        Extent.Keep(Geometry.TokensWithin(pages));
        _indexed = Math.Min(_indexed, pages);
    }

    private void ReleasePage(int page) => _memory.Pool.Release(page, keep: _memory.IsIndexed(page));

    private void IndexNext(ReadOnlySpan<int> tokens)
    {
        ref MappedPage page = ref _pages[_indexed];
        if (_memory.Prefixes!.Add(Parent, NextSegment(tokens), page.Page) is not { } id)
        {
            Extent.NextIndexed = int.MaxValue; // the rest of this sequence is not indexed
            return;
        }
        page = page with { Id = id };
        _indexed++;
        FindNextIndexed();
    }

    private ReadOnlySpan<int> NextSegment(ReadOnlySpan<int> tokens) => tokens[Geometry.TokensTouching(_indexed)..Extent.NextIndexed];

    private void FindNextIndexed() => Extent.NextIndexed = _memory.Prefixes is null ? int.MaxValue : Geometry.TokensTouching(_indexed + 1);
}
