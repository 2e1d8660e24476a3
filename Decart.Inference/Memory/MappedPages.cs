namespace Decart.Inference.Memory;

/// <summary>A page that is mapped in a range.</summary>
/// <param name="Page">The physical page, or <see cref="AddressRanges.Unmapped"/>.</param>
/// <param name="Ticket">Of its mapping, or of one before it that came later.</param>
/// <param name="Id">Its id in the prefix cache; <see cref="PrefixCache.Root"/> while it is not indexed.</param>
internal readonly record struct MappedPage(int Page, long Ticket, long Id)
{
    public static MappedPage None => new(AddressRanges.Unmapped, 0, PrefixCache.Root);
}

/// <summary>The pages that are mapped in one range, by their index, and the address ranges that the system describes them with.</summary>
internal struct MappedPages()
{
    private MappedPage[] _pages = [];

    /// <summary>From here on none is mapped.</summary>
    private int _end = 0;

    /// <summary>What is mapped at an index. That of a page that is mapped may be changed.</summary>
    public readonly ref MappedPage this[int index] => ref _pages[index];

    /// <summary>The page at an index; <see cref="AddressRanges.Unmapped"/> if there is none, at any index.</summary>
    public readonly int PageAt(int index) => (uint)index < (uint)_end ? _pages[index].Page : AddressRanges.Unmapped;

    public readonly ReadOnlySpan<MappedPage> First(int count) => _pages.AsSpan(0, count);

    /// <summary>The last index where a page is mapped. There must be one.</summary>
    public int Last()
    {
        while (_pages[_end - 1].Page == AddressRanges.Unmapped) _end--;
        return _end - 1;
    }

    /// <summary>Address ranges that are described more once a page is mapped at an index in place of what is there.</summary>
    public readonly int RangesGained(int index, int page)
    {
        int left = PageAt(index - 1), now = PageAt(index), right = PageAt(index + 1);
        return AddressRanges.Seam(left, page) + AddressRanges.Seam(page, right) - AddressRanges.Seam(left, now) - AddressRanges.Seam(now, right);
    }

    /// <summary>Makes sure that a page can be noted at the index after those that have been.</summary>
    public void MakeRoom(int index)
    {
        int count = _pages.Length;
        if (index < count) return;
        Array.Resize(ref _pages, Math.Max(8, 2 * count));
        _pages.AsSpan(count).Fill(MappedPage.None);
    }

    /// <summary>Notes a page at an index that there is room for.</summary>
    public void Set(int index, MappedPage page)
    {
        _pages[index] = page;
        _end = Math.Max(_end, index + 1);
    }

    /// <returns>Address ranges that are described less.</returns>
    public int Clear(int index)
    {
        int freed = -RangesGained(index, AddressRanges.Unmapped);
        _pages[index] = MappedPage.None;
        return freed;
    }

    /// <summary>Prefetches what is noted at an index.</summary>
    public readonly void Fetch(int index) => Prefetch.Element(_pages, index);
}
