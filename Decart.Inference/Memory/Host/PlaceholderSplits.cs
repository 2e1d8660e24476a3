namespace Decart.Inference.Memory;

/// <summary>
/// Which placeholders the reservations on Windows consist of. A reservation begins as one placeholder; a page can only be mapped over a placeholder of
/// exactly its size, so that one is split off first and stays on its own from then on, mapped or not. What lies between such pages is
/// one placeholder each: where that is a single page, it needs no splitting.
/// </summary>
internal sealed class PlaceholderSplits(long pageBytes)
{
    private readonly HashSet<nint> _pages = [];

    /// <summary>Whether the placeholder at a page's address is exactly that page.</summary>
    public bool IsPage(Reservation reservation, nint address)
    {
        if (_pages.Contains(address)) return true;
        nint next = address + (nint)pageBytes;
        return (address == reservation.Address || _pages.Contains(address - (nint)pageBytes)) && (next == reservation.End || _pages.Contains(next));
    }

    /// <summary>Remembers a page whose placeholder is on its own now.</summary>
    public void Add(nint address) => _pages.Add(address);

    /// <summary>Takes the placeholders of a reservation out, in ascending order of their addresses.</summary>
    /// <returns>The address where each begins.</returns>
    public IReadOnlyList<nint> Remove(Reservation reservation)
    {
        List<nint> starts = [];
        nint covered = reservation.Address;
        foreach (nint page in _pages.Where(page => reservation.Contains(page, pageBytes)).Order().ToArray())
        {
            if (covered < page) starts.Add(covered);
            starts.Add(page);
            covered = page + (nint)pageBytes;
            _pages.Remove(page);
        }
        if (covered < reservation.End) starts.Add(covered);
        return starts;
    }
}
