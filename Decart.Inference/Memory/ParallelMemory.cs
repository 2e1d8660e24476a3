using Decart.Inference.Kernels;

namespace Decart.Inference.Memory;

/// <summary>
/// The memory of several devices that have equal parts of everything: what is asked for is done on each. Places are named by their addresses on the first; sizes are those of
/// one device's part.
/// </summary>
/// <param name="devices">The devices' memories.</param>
internal sealed class ParallelMemory(IReadOnlyList<IDeviceMemory> devices) : IDeviceMemory
{
    /// <summary>Why several devices refuse page tables.</summary>
    public const string NeedsHardwarePaging = "Several devices share the numbers of pages by hardware paging only: choose PagingMode.Auto, or one device.";

    private readonly Lock _lock = new(); // held to replace what follows
    private Region[] _regions = [];

    public IReadOnlyList<IDeviceMemory> Devices => devices;

    public long PageGranularity => devices.Min(device => device.PageGranularity) == 0 ? 0 : devices.Max(device => device.PageGranularity);

    public AddressRanges Ranges => devices[0].Ranges;

    public double KvShare => devices[0].KvShare;

    public long MeasureFree() => devices.Min(device => device.MeasureFree());

    public IVirtualMemory CreateVirtualMemory(long pageBytes, int maxPages)
    {
        List<IVirtualMemory> created = [];
        try
        {
            foreach (IDeviceMemory device in devices) created.Add(device.CreateVirtualMemory(pageBytes, maxPages));
            return new ParallelVirtualMemory(this, created);
        }
        catch
        {
            foreach (IVirtualMemory memory in created) memory.Dispose();
            throw;
        }
    }

    public nint Allocate(long bytes)
    {
        List<nint> allocated = [];
        try
        {
            foreach (IDeviceMemory device in devices) allocated.Add(device.Allocate(bytes));
            Add([.. allocated], bytes);
            return allocated[0];
        }
        catch
        {
            for (int rank = 0; rank < allocated.Count; rank++) devices[rank].Free(allocated[rank]);
            throw;
        }
    }

    public void Free(nint address)
    {
        nint[] addresses = Remove(address);
        for (int rank = 0; rank < devices.Count; rank++) devices[rank].Free(addresses[rank]);
    }

    /// <summary>A place that is not of these devices is the same for each of them.</summary>
    public void Copy(nint destination, nint source, long bytes)
    {
        for (int rank = 0; rank < devices.Count; rank++) devices[rank].Copy(Translate(destination, rank), Translate(source, rank), bytes);
    }

    /// <summary>Where a place is on a device.</summary>
    /// <param name="address">Its address on the first device.</param>
    /// <param name="rank">The device's number.</param>
    /// <returns>The same address where it is none of the first device.</returns>
    public nint Translate(nint address, int rank)
    {
        foreach (Region region in Volatile.Read(ref _regions))
        {
            if (address >= region.Addresses[0] && address - region.Addresses[0] < region.Bytes) return address - region.Addresses[0] + region.Addresses[rank];
        }
        return address;
    }

    /// <summary>Makes a batch of another whose keys and values are those of a device.</summary>
    /// <exception cref="NotSupportedException">Keys and values are found by a page table, which has the first device's addresses.</exception>
    public void Translate(Batch batch, int rank, Batch destination)
    {
        destination.Clear();
        foreach (BatchChunk chunk in batch.Chunks)
        {
            if (chunk.Kv.PageTable != 0) throw new NotSupportedException("Several devices share pages by hardware paging only.");
            KvView kv = chunk.Kv with { Address = Translate(chunk.Kv.Address, rank) };
            destination.Add(kv, batch.TokenIds.Slice(chunk.FirstRow, chunk.Length), chunk.FirstPosition, wantsLogits: false);
        }
        destination.WantLogits(batch.LogitRows);
    }

    /// <summary>Notes where something is on each device.</summary>
    internal void Add(nint[] addresses, long bytes)
    {
        lock (_lock) Volatile.Write(ref _regions, [.. _regions, new Region(addresses, bytes)]);
    }

    /// <summary>Forgets it; returns where it is.</summary>
    /// <exception cref="ArgumentException">Nothing begins at the address.</exception>
    internal nint[] Remove(nint address)
    {
        lock (_lock)
        {
            Region found = Find(address);
            Volatile.Write(ref _regions, [.. _regions.Where(region => region != found)]);
            return found.Addresses;
        }
    }

    /// <summary>Where what begins at an address is on each device.</summary>
    internal nint[] Addresses(nint address) => Find(address).Addresses;

    private Region Find(nint address) =>
        Array.Find(Volatile.Read(ref _regions), region => region.Addresses[0] == address) ?? throw new ArgumentException($"Nothing begins at 0x{address:x}.", nameof(address));

    /// <summary>What is at an address of the first device and at others of the others.</summary>
    private sealed record Region(nint[] Addresses, long Bytes);
}
