namespace Decart.Inference.Memory;

/// <summary>
/// Virtual memory of several devices: a page is one on each, and is mapped on each at the address that corresponds. What one device refuses is taken back on the others.
/// </summary>
/// <param name="memory">Knows which addresses correspond.</param>
/// <param name="devices">The devices' virtual memories; owned.</param>
internal sealed class ParallelVirtualMemory(ParallelMemory memory, IReadOnlyList<IVirtualMemory> devices) : IVirtualMemory
{
    // Each is locked from where the first device takes back a handle or an address until that is forgotten here: another thread may be given the same again at once.
    private readonly Dictionary<nint, nint[]> _pages = []; // by the handle on the first device
    private readonly HashSet<nint> _reserved = [];
    private bool _disposed;

    public long PageBytes => devices[0].PageBytes;

    public nint Reserve(long bytes)
    {
        List<nint> addresses = [];
        try
        {
            foreach (IVirtualMemory device in devices) addresses.Add(device.Reserve(bytes));
        }
        catch
        {
            for (int rank = 0; rank < addresses.Count; rank++) devices[rank].Free(addresses[rank], bytes);
            throw;
        }
        lock (_reserved)
        {
            memory.Add([.. addresses], bytes);
            _reserved.Add(addresses[0]);
        }
        return addresses[0];
    }

    public void Free(nint address, long bytes)
    {
        lock (_reserved)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            nint[] addresses = memory.Addresses(address);
            for (int rank = 0; rank < addresses.Length; rank++) devices[rank].Free(addresses[rank], bytes);
            Forget(address);
        }
    }

    public nint CreatePage()
    {
        List<nint> pages = [];
        try
        {
            foreach (IVirtualMemory device in devices) pages.Add(device.CreatePage());
        }
        catch
        {
            for (int rank = 0; rank < pages.Count; rank++) devices[rank].ReleasePage(pages[rank]);
            throw;
        }
        lock (_pages) _pages.Add(pages[0], [.. pages]);
        return pages[0];
    }

    public void ReleasePage(nint page)
    {
        lock (_pages)
        {
            nint[] pages = Pages(page);
            for (int rank = 0; rank < pages.Length; rank++) devices[rank].ReleasePage(pages[rank]);
            _pages.Remove(page);
        }
    }

    public void Map(nint address, nint page)
    {
        nint[] pages = Pages(page);
        int mapped = 0;
        try
        {
            for (; mapped < pages.Length; mapped++) devices[mapped].Map(memory.Translate(address, mapped), pages[mapped]);
        }
        catch
        {
            for (int rank = 0; rank < mapped; rank++) devices[rank].Unmap(memory.Translate(address, rank), PageBytes);
            throw;
        }
    }

    /// <remarks>Where a device refuses, the devices no longer have the same: later calls for the addresses are refused too.</remarks>
    public void Unmap(nint address, long bytes)
    {
        for (int rank = 0; rank < devices.Count; rank++) devices[rank].Unmap(memory.Translate(address, rank), bytes);
    }

    public void Dispose()
    {
        nint[] reserved;
        lock (_reserved) (reserved, _disposed) = ([.. _reserved], true);
        try
        {
            foreach (IVirtualMemory device in devices) device.Dispose();
        }
        finally
        {
            foreach (nint address in reserved) Forget(address);
        }
    }

    private nint[] Pages(nint page)
    {
        lock (_pages) return _pages.TryGetValue(page, out nint[]? pages) ? pages : throw new ArgumentException($"There is no page with the handle {page}.", nameof(page));
    }

    private void Forget(nint address)
    {
        lock (_reserved) _reserved.Remove(address);
        memory.Remove(address);
    }
}
