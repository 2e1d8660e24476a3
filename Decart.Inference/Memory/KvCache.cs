using System.Runtime.InteropServices;

namespace Decart.Inference.Memory;

/// <summary>
/// The keys and values of one sequence: a slot of the address range with the pages that are laid under it. Pages are shared where
/// sequences begin with the same tokens; only pages that nobody else sees are written to. Owned by the engine's thread.
/// </summary>
/// <remarks>
/// Released caches are used again together with those of their pages that hold nothing worth keeping, which stay mapped ("parked"): the
/// next sequence finds them in place.
/// </remarks>
internal sealed class KvCache
{
    private const int None = -1;

    private readonly KvMemory _memory;
    private readonly int _slot;
    private Place[] _places = [];
    private int _held; // the first places, whose pages are this sequence's; later ones are parked or empty
    private int _parked;
    private int _known; // the first places, whose pages the prefix cache knows by their tokens
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

    /// <summary>How far it reaches.</summary>
    public ref KvExtent Extent => ref _memory.Extent(_slot);

    /// <inheritdoc cref="KvExtent.Tokens"/>
    public int Tokens => Extent.Tokens;

    /// <summary>Pages that it holds, those mapped ahead of need included.</summary>
    public int Pages => _held;

    /// <summary>Whether it waits in <see cref="KvMemory"/>'s queue of caches with parked pages.</summary>
    public bool IsQueued { get; set; }

    /// <summary>Pages that stay mapped here though they are free.</summary>
    public int Parked => _parked;

    private PageGeometry Geometry => _memory.Geometry;

    /// <summary>What stands for the tokens before the page that becomes known next.</summary>
    private long Parent => _known == 0 ? PrefixCache.Root : _places[_known - 1].Id;

    /// <summary>The physical page at an index below <see cref="Pages"/>.</summary>
    public int Page(int index) => _places[index].Page;

    /// <summary>A new use begins: calls that have failed before a ticket concern the previous one.</summary>
    public void Begin(long since) => _since = since;

    /// <summary>Takes what the prefix cache has of a sequence's beginning. Only before anything else is stored.</summary>
    /// <param name="tokens">The sequence.</param>
    /// <returns>The tokens found, fewer than there are, so that one is left to compute.</returns>
    public int TakePrefix(ReadOnlySpan<int> tokens)
    {
        if (_memory.Prefixes is not { } prefixes) return 0;
        List<Place> found = _memory.Found;
        found.Clear();
        long parent = PrefixCache.Root;
        while (true)
        {
            int begin = Geometry.TokensTouching(found.Count), end = Geometry.TokensTouching(found.Count + 1);
            if (end > tokens.Length || !prefixes.TryFind(parent, tokens[begin..end], out int page, out long id)) break;
            found.Add(new Place(page, 0, id));
            parent = id;
        }
        int length = Geometry.TokensWithin(found.Count), touched = Geometry.TokensTouching(found.Count);
        int common = prefixes.FindBeginning(parent, tokens[touched..], out int next);
        if (common > 0)
        {
            length = Math.Min(touched + common, Geometry.TokensWithin(found.Count + 1));
            found.Add(new Place(next, 0, PrefixCache.Root));
        }
        length = Math.Min(length, tokens.Length - 1);
        return TakeOver(CollectionsMarshal.AsSpan(found), length) ? length : 0;
    }

    /// <summary>A cache with the same content: full pages are shared, at most one is copied.</summary>
    /// <returns>Null when there is no slot or page for it.</returns>
    public KvCache? Fork()
    {
        if (_memory.Rent() is not { } fork) return null;
        if (fork.TakeOver(_places.AsSpan(0, _held), Tokens)) return fork;
        fork.Release();
        return null;
    }

    /// <summary>Lays pages under the first <paramref name="tokens"/> tokens.</summary>
    /// <returns>False when there are not enough; those there were are held.</returns>
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
            _memory.Map.Wait(_slot, _since, _places[pages - 1].Ticket);
            Extent.Ready = Geometry.TokensWithin(pages);
        }
        catch
        {
            _broken = true;
            throw;
        }
    }

    /// <summary>Makes the pages known that are full, for sequences that begin alike.</summary>
    /// <param name="tokens">The sequence's first tokens; all of them are stored.</param>
    public void MakeKnown(ReadOnlySpan<int> tokens)
    {
        while (tokens.Length >= Extent.NextKnown) MakeNextKnown(tokens);
    }

    /// <summary>Brings near the place of the page that becomes known next.</summary>
    public void FetchPlace()
    {
        Prefetch.Element(_places, _known - 1);
        Prefetch.Element(_places, _known);
    }

    /// <summary>Brings near what <see cref="MakeKnown"/> looks up. After <see cref="FetchPlace"/>.</summary>
    public void FetchKnown(ReadOnlySpan<int> tokens)
    {
        if (tokens.Length >= Extent.NextKnown) _memory.Prefixes!.FetchAhead(Parent, NextSegment(tokens), _places[_known].Page);
    }

    /// <summary>Forgets all but the first tokens. The pages after them are given back.</summary>
    public void Truncate(int tokens)
    {
        if (tokens >= Tokens) return;
        int full = Geometry.FullPages(tokens);
        Drop(Geometry.PagesFor(tokens));
        Extent.Tokens = tokens;
        if (Geometry.PartialBytes(tokens) > 0) MakeWritable(full);
        _known = Math.Min(_known, full);
        FindNextKnown();
    }

    /// <summary>Gives everything back. The cache must not be used again by who called.</summary>
    public void Release()
    {
        Drop(0);
        Reset();
        _memory.Return(this);
    }

    /// <summary>Gives up the parked page with the highest index.</summary>
    public int GiveUpParked()
    {
        int index = _places.Length - 1;
        while (_places[index].Page == None) index--;
        _memory.Map.Unmap(_slot, index, 1);
        return Empty(index);
    }

    private void Reset()
    {
        Extent.Tokens = 0;
        _known = 0;
        _broken = false;
        FindNextKnown();
    }

    /// <summary>Shares the full pages of the first <paramref name="tokens"/> tokens and copies the rest of them.</summary>
    private bool TakeOver(ReadOnlySpan<Place> places, int tokens)
    {
        int full = Geometry.FullPages(tokens);
        long rest = Geometry.PartialBytes(tokens);
        for (int i = 0; i < full; i++)
        {
            if (i < _places.Length && _places[i].Page != None)
            {
                _memory.Pool.Release(Empty(i), keep: false);
            }
            _memory.Pool.Reference(places[i].Page);
            Put(places[i].Page, _memory.Map.Map(_slot, i, places[i].Page), places[i].Id);
        }
        if (rest > 0 && !TryAddCopy(places[full].Page, rest))
        {
            Drop(0);
            Reset();
            return false;
        }
        Extent.Tokens = tokens;
        while (_known < full && _places[_known].Id != PrefixCache.Root) _known++;
        FindNextKnown();
        return true;
    }

    /// <summary>Adds a page that holds the first bytes of another.</summary>
    private bool TryAddCopy(int source, long bytes)
    {
        _memory.Pool.Reference(source); // so that it is not evicted to make room for its copy
        bool added = TryAddPage();
        if (added)
        {
            ref Place place = ref _places[_held - 1];
            place = place with { Ticket = Math.Max(place.Ticket, _memory.Map.Copy(_slot, _held - 1, source, bytes)) };
        }
        ReleasePage(source);
        return added;
    }

    private bool TryAddPage()
    {
        if (_held < _places.Length && _places[_held].Page != None)
        {
            Place parked = _places[_held];
            _memory.Pool.TakeParked(parked.Page);
            _parked--;
            Put(parked.Page, parked.Ticket, PrefixCache.Root);
            return true;
        }
        if (!_memory.TryTakePage(out int page)) return false;
        Put(page, _memory.Map.Map(_slot, _held, page), PrefixCache.Root);
        return true;
    }

    /// <summary>Puts a page at the next place. A place's ticket covers all places before it.</summary>
    private void Put(int page, long ticket, long id)
    {
        if (_held > 0) ticket = Math.Max(ticket, _places[_held - 1].Ticket);
        if (_held == _places.Length) AddPlaces();
        _places[_held++] = new Place(page, ticket, id);
        Extent.Reserved = Geometry.TokensWithin(_held);
    }

    private void AddPlaces()
    {
        int count = _places.Length;
        Array.Resize(ref _places, Math.Max(8, 2 * count));
        _places.AsSpan(count).Fill(Place.Empty);
    }

    /// <summary>Empties a place and returns the parked page that it held, in use from here on.</summary>
    private int Empty(int index)
    {
        int page = _places[index].Page;
        _memory.Pool.TakeParked(page);
        _places[index] = Place.Empty;
        _parked--;
        return page;
    }

    /// <summary>Gives back the pages from an index on, the last one first: of the cached, those nearest to the beginning live longest.</summary>
    private void Drop(int first)
    {
        int end = _held;
        for (int i = _held - 1; i >= first; i--)
        {
            int page = _places[i].Page;
            if (!_broken && _memory.Pool.References(page) == 1 && !_memory.IsKnown(page))
            {
                _memory.Pool.Park(page);
                _parked++;
                Unmap(i + 1, end);
                end = i;
            }
            else
            {
                ReleasePage(page);
                _places[i] = Place.Empty;
            }
        }
        Unmap(first, end);
        _held = Math.Min(_held, first);
        Extent.Reserved = Geometry.TokensWithin(_held);
        Extent.Ready = Math.Min(Extent.Ready, Extent.Reserved);
        if (_parked > 0) _memory.Queue(this);
    }

    private void Unmap(int first, int end)
    {
        if (end > first) _memory.Map.Unmap(_slot, first, end - first);
    }

    /// <summary>Sees to it that nobody else reads the page at an index, the last one held.</summary>
    private void MakeWritable(int index)
    {
        int page = _places[index].Page;
        if (_memory.Pool.References(page) == 1)
        {
            if (_memory.IsKnown(page)) _memory.Prefixes!.Forget(page);
            _places[index] = _places[index] with { Id = PrefixCache.Root };
            return;
        }
        _memory.Pool.Reference(page);
        Drop(index);
        bool copied = TryAddCopy(page, Geometry.PartialBytes(Tokens));
        ReleasePage(page);
        if (copied) return;
        Drop(0);
        Reset();
    }

    private void ReleasePage(int page) => _memory.Pool.Release(page, keep: _memory.IsKnown(page));

    private void MakeNextKnown(ReadOnlySpan<int> tokens)
    {
        ref Place place = ref _places[_known];
        if (_memory.Prefixes!.Add(Parent, NextSegment(tokens), place.Page) is not { } id)
        {
            Extent.NextKnown = int.MaxValue; // the rest of this sequence stays unknown
            return;
        }
        place = place with { Id = id };
        _known++;
        FindNextKnown();
    }

    private ReadOnlySpan<int> NextSegment(ReadOnlySpan<int> tokens) => tokens[Geometry.TokensTouching(_known)..Extent.NextKnown];

    private void FindNextKnown() => Extent.NextKnown = _memory.Prefixes is null ? int.MaxValue : Geometry.TokensTouching(_known + 1);

    /// <param name="Page">The physical page, or <see cref="None"/>.</param>
    /// <param name="Ticket">Of its mapping, or of one before it that came later.</param>
    /// <param name="Id">What stands for its tokens in the prefix cache; <see cref="PrefixCache.Root"/> when they are not known there.</param>
    internal readonly record struct Place(int Page, long Ticket, long Id)
    {
        public static Place Empty => new(None, 0, PrefixCache.Root);
    }
}
