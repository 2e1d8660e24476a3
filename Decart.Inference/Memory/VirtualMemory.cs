using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Decart.Inference.Memory;

/// <summary>
/// What every <see cref="IVirtualMemory"/> shares: it remembers what is reserved, created and mapped, checks each call against that, so that a
/// mistake is an exception and never touches other memory, and releases the rest at the end. Implementations add the system's calls.
/// </summary>
/// <remarks>One call at a time: the operating systems and the driver take their own lock for each of these calls anyway.</remarks>
internal abstract class VirtualMemory : IVirtualMemory
{
    private readonly Lock _lock = new();
    private readonly int _maxPages;
    private readonly List<Reservation> _reservations = [];
    private readonly Dictionary<nint, nint> _pageAt = [];
    private readonly Dictionary<nint, int> _mappingsOf = [];
    private bool _disposed;

    /// <param name="pageBytes">Bytes of a page, a power of two.</param>
    /// <param name="granularity">The smallest page of the system, a power of two.</param>
    /// <param name="maxPages">The most pages that will exist at once.</param>
    protected VirtualMemory(long pageBytes, long granularity, int maxPages)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(pageBytes, granularity);
        if (!long.IsPow2(pageBytes)) throw new ArgumentOutOfRangeException(nameof(pageBytes), pageBytes, "Expected a power of two.");
        ArgumentOutOfRangeException.ThrowIfLessThan(maxPages, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pageBytes, long.MaxValue / maxPages);
        PageBytes = pageBytes;
        _maxPages = maxPages;
    }

    public long PageBytes { get; }

    public nint Reserve(long bytes)
    {
        CheckLength(bytes);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            var reservation = new Reservation(ReserveCore(bytes), bytes);
            _reservations.Insert(~IndexOf(reservation.Address), reservation);
            return reservation.Address;
        }
    }

    public void Free(nint address, long bytes)
    {
        CheckAddress(address);
        CheckLength(bytes);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            int index = IndexOf(address);
            if (index < 0 || _reservations[index].Bytes != bytes)
                throw new ArgumentException($"No reservation of {bytes} bytes starts at 0x{address:x}.", nameof(address));
            Reservation reservation = _reservations[index];
            if (reservation.MappedPages > 0)
                throw new InvalidOperationException($"{reservation.MappedPages} pages are still mapped in the reservation.");
            FreeCore(reservation);
            _reservations.RemoveAt(index);
        }
    }

    public nint CreatePage()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_mappingsOf.Count == _maxPages)
                throw new InvalidOperationException($"All of the {_maxPages} pages that were announced exist already.");
            nint page = CreatePageCore();
            _mappingsOf.Add(page, 0);
            return page;
        }
    }

    public void ReleasePage(nint page)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            int mappings = MappingsOf(page);
            if (mappings > 0) throw new InvalidOperationException($"The page is still mapped at {mappings} addresses.");
            ReleasePageCore(page);
            _mappingsOf.Remove(page);
        }
    }

    public void Map(nint address, nint page)
    {
        CheckAddress(address);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Reservation reservation = Find(address, PageBytes);
            ref int mappings = ref MappingsOf(page);
            if (_pageAt.ContainsKey(address)) throw new InvalidOperationException($"A page is already mapped at 0x{address:x}.");
            MapCore(reservation, address, page);
            _pageAt.Add(address, page);
            mappings++;
            reservation.MappedPages++;
        }
    }

    public void Unmap(nint address, long bytes)
    {
        CheckAddress(address);
        CheckLength(bytes);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Reservation reservation = Find(address, bytes);
            nint end = address + (nint)bytes;
            for (nint at = address; at < end; at += (nint)PageBytes)
            {
                if (!_pageAt.ContainsKey(at)) throw new InvalidOperationException($"No page is mapped at 0x{at:x}.");
            }
            while (address < end)
            {
                nint unmapped = address + (nint)UnmapCore(address, end - address);
                for (; address < unmapped; address += (nint)PageBytes) Forget(reservation, address);
            }
        }
    }

    /// <exception cref="VirtualMemoryException">The system refused to release something; everything else has been released.</exception>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            ExceptionDispatchInfo? failure = null;
            foreach ((nint address, long bytes) in MappedRuns()) UnmapRun(address, bytes, ref failure);
            foreach (Reservation reservation in _reservations) Try(() => FreeCore(reservation), ref failure);
            foreach (nint page in _mappingsOf.Keys) Try(() => ReleasePageCore(page), ref failure);
            Try(Close, ref failure);
            _reservations.Clear();
            _pageAt.Clear();
            _mappingsOf.Clear();
            failure?.Throw();
        }
    }

    /// <returns>A multiple of <see cref="PageBytes"/>.</returns>
    protected abstract nint ReserveCore(long bytes);

    protected abstract void FreeCore(Reservation reservation);

    protected abstract nint CreatePageCore();

    protected abstract void ReleasePageCore(nint page);

    /// <summary>Maps a page, or changes nothing and throws.</summary>
    protected abstract void MapCore(Reservation reservation, nint address, nint page);

    /// <summary>Unmaps at least the first of consecutive mapped pages, or changes nothing and throws.</summary>
    /// <returns>Bytes of the pages that were unmapped.</returns>
    protected abstract long UnmapCore(nint address, long bytes);

    /// <summary>Releases what was there from the start, after everything else.</summary>
    protected abstract void Close();

    /// <summary>In ascending order, each as a whole: taking pages out of their midst would have the system describe more and more ranges.</summary>
    private List<(nint Address, long Bytes)> MappedRuns()
    {
        List<(nint Address, long Bytes)> runs = [];
        foreach (nint address in _pageAt.Keys.Order())
        {
            if (runs.Count > 0 && runs[^1].Address + (nint)runs[^1].Bytes == address) runs[^1] = (runs[^1].Address, runs[^1].Bytes + PageBytes);
            else runs.Add((address, PageBytes));
        }
        return runs;
    }

    private void UnmapRun(nint address, long bytes, ref ExceptionDispatchInfo? failure)
    {
        for (nint end = address + (nint)bytes; address < end;)
        {
            long unmapped = PageBytes; // what cannot be unmapped is passed over
            Try(() => unmapped = UnmapCore(address, end - address), ref failure);
            address += (nint)unmapped;
        }
    }

    private static void Try(Action release, ref ExceptionDispatchInfo? failure)
    {
        try
        {
            release();
        }
        catch (Exception exception)
        {
            failure ??= ExceptionDispatchInfo.Capture(exception);
        }
    }

    private void CheckAddress(nint address)
    {
        if (address == 0 || (address & (nint)(PageBytes - 1)) != 0)
            throw new ArgumentException($"Expected a reserved address, a multiple of {PageBytes}; found 0x{address:x}.", nameof(address));
    }

    private void CheckLength(long bytes)
    {
        if (bytes <= 0 || (bytes & (PageBytes - 1)) != 0)
            throw new ArgumentOutOfRangeException(nameof(bytes), bytes, $"Expected a positive multiple of {PageBytes}.");
    }

    private ref int MappingsOf(nint page)
    {
        ref int mappings = ref CollectionsMarshal.GetValueRefOrNullRef(_mappingsOf, page);
        if (Unsafe.IsNullRef(ref mappings)) throw new ArgumentException($"There is no page with the handle {page}.", nameof(page));
        return ref mappings;
    }

    private Reservation Find(nint address, long bytes)
    {
        int index = IndexOf(address);
        if (index < 0) index = ~index - 1;
        return index >= 0 && _reservations[index].Contains(address, bytes)
            ? _reservations[index]
            : throw new ArgumentException($"The {bytes} bytes at 0x{address:x} are not within one reservation.", nameof(address));
    }

    /// <returns>The index of the reservation that starts at the address; otherwise the complement of the index where it would be.</returns>
    private int IndexOf(nint address)
    {
        int low = 0, high = _reservations.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_reservations[middle].Address == address) return middle;
            if (_reservations[middle].Address < address) low = middle + 1;
            else high = middle;
        }
        return ~low;
    }

    private void Forget(Reservation reservation, nint address)
    {
        _pageAt.Remove(address, out nint page);
        MappingsOf(page)--;
        reservation.MappedPages--;
    }
}
