using System.Runtime.InteropServices;

namespace Decart.Inference.Memory;

/// <summary>
/// The keys and values of one sequence, in a range of addresses of its own. Sequences that begin with the same tokens share pages; a page is written to only
/// while it has one holder. Owned by the engine's thread.
/// </summary>
/// <remarks>
/// A released range is used again. Its pages that hold nothing worth keeping stay mapped ("parked"), and the next sequence finds them in place.
/// </remarks>
internal sealed class KvCache : KvRange
{
    private int _indexed; // the first of them are in the prefix cache

    /// <inheritdoc/>
    public KvCache(KvMemory memory, int slot)
        : base(memory, slot)
    {
        Reset();
    }

    /// <summary>Where kernels find it; the same as long as the cache lives.</summary>
    public KvView View => Memory.View(Slot);

    /// <inheritdoc cref="KvView.RotaryLength"/>
    public int RotaryLength => View.RotaryLength;

    /// <inheritdoc cref="KvExtent.Tokens"/>
    public int Tokens => Extent.Tokens;

    /// <summary>The prefix cache's id of the page before the one that is indexed next.</summary>
    private long Parent => _indexed == 0 ? PrefixCache.RootOf(RotaryLength) : Mapped(_indexed - 1).Id;

    /// <summary>Shares what the prefix cache has of a sequence's beginning. Only before anything else is stored.</summary>
    /// <param name="tokens">The sequence.</param>
    /// <returns>The tokens found and taken, fewer than there are, so that one is left to compute.</returns>
    public int TakePrefix(ReadOnlySpan<int> tokens)
    {
        if (Memory.Prefixes is not { } prefixes) return 0;
        List<MappedPage> found = Memory.Found;
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
        if (Memory.Rent(RotaryLength) is not { } fork) return null;
        bool isComplete = false;
        try
        {
            fork.TakeOver(First(Geometry.PagesFor(Tokens)), Tokens);
            isComplete = fork.Tokens == Tokens;
        }
        finally
        {
            if (!isComplete) fork.Release();
        }
        return isComplete ? fork : null;
    }

    /// <summary>Lays pages under the first <paramref name="tokens"/> tokens.</summary>
    /// <returns>False when there are not enough of them, or of the address ranges that they make; the pages that there were are held.</returns>
    public bool TryReserve(int tokens)
    {
        if (tokens <= Extent.Reserved) return true;
        int pages = Geometry.PagesFor(tokens);
        while (Pages < pages)
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
        WaitForPages(pages);
        Extent.Ready = Geometry.TokensWithin(pages);
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
        Fetch(_indexed - 1);
        Fetch(_indexed);
    }

    /// <summary>Prefetches what <see cref="IndexPages"/> looks up. After <see cref="FetchNextPage"/>.</summary>
    public void FetchIndex(ReadOnlySpan<int> tokens)
    {
        if (tokens.Length >= Extent.NextIndexed) Memory.Prefixes!.FetchAhead(Parent, NextSegment(tokens), Mapped(_indexed).Page);
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
        Memory.Return(this);
    }

    private void Reset()
    {
        Extent.Keep(0);
        _indexed = 0;
        FindNextIndexed();
    }

    /// <summary>Shares the full pages of the first <paramref name="tokens"/> tokens and copies the rest of them; fewer if there is no room.</summary>
    private void TakeOver(ReadOnlySpan<MappedPage> pages, int tokens)
    {
        int full = Geometry.FullPages(tokens);
        long rest = Geometry.PartialBytes(tokens);
        foreach (MappedPage page in pages) Memory.Pool.Reference(page.Page); // so that none is evicted to make room for the others
        bool isComplete;
        try
        {
            while (Pages < full && TryShare(pages[Pages]))
            {
            }
            isComplete = Pages == full && (rest == 0 || TryAddCopy(pages[full].Page, rest));
        }
        finally
        {
            for (int i = pages.Length - 1; i >= 0; i--) ReleasePage(pages[i].Page);
        }
        if (isComplete) Extent.Keep(tokens);
        else KeepFullPages();
        while (_indexed < Pages && Mapped(_indexed).Id != PrefixCache.Root) _indexed++;
        FindNextIndexed();
    }

    /// <summary>Makes the sequence the only holder of the page at an index, the last one held.</summary>
    private void MakeWritable(int index)
    {
        int page = Mapped(index).Page;
        if (Memory.Pool.References(page) == 1)
        {
            if (Memory.IsIndexed(page)) Memory.Prefixes!.Forget(page);
            Mapped(index) = Mapped(index) with { Id = PrefixCache.Root };
            return;
        }
        Memory.Pool.Reference(page);
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

    /// <summary>Keeps the longest beginning that ends with a page: there is no page to copy the rest to.</summary>
    private void KeepFullPages()
    {
        int pages = Pages;
        while (Geometry.PartialBytes(Geometry.TokensWithin(pages)) > 0) pages--;
        Drop(pages);
        Extent.Keep(Geometry.TokensWithin(pages));
        _indexed = Math.Min(_indexed, pages);
    }

    private void IndexNext(ReadOnlySpan<int> tokens)
    {
        ref MappedPage page = ref Mapped(_indexed);
        if (Memory.Prefixes!.Add(Parent, NextSegment(tokens), page.Page) is not { } id)
        {
            Extent.NextIndexed = int.MaxValue; // the rest of this sequence is not indexed
            return;
        }
        page = page with { Id = id };
        _indexed++;
        FindNextIndexed();
    }

    private ReadOnlySpan<int> NextSegment(ReadOnlySpan<int> tokens) => tokens[Geometry.TokensTouching(_indexed)..Extent.NextIndexed];

    private void FindNextIndexed() => Extent.NextIndexed = Memory.Prefixes is null ? int.MaxValue : Geometry.TokensTouching(_indexed + 1);
}
