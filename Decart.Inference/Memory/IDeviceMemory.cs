namespace Decart.Inference.Memory;

/// <summary>The memory that a device's kernels compute in. Any thread may call.</summary>
internal interface IDeviceMemory
{
    /// <summary>The smallest page that the device's memory management unit can map, a power of two; 0 where it offers no virtual memory.</summary>
    long PageGranularity { get; }

    /// <summary>The account of the address ranges that mapped pages make.</summary>
    AddressRanges Ranges { get; }

    /// <summary>Bytes that could be allocated now, as the system reports them.</summary>
    long MeasureFree();

    /// <summary>The part of the free memory that keys and values take by default; the rest is left to others who use this memory.</summary>
    double KvShare { get; }

    /// <summary>
    /// Virtual memory with pages of the given size, a power of two and at least <see cref="PageGranularity"/>. The caller accounts for what is mapped
    /// in <see cref="Ranges"/>.
    /// </summary>
    /// <param name="pageBytes">Bytes of a page.</param>
    /// <param name="maxPages">The most pages that will exist at once.</param>
    /// <exception cref="VirtualMemoryException">The system refuses.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The size is not such a power of two, or the number of pages is not positive.</exception>
    /// <exception cref="NotSupportedException"><see cref="PageGranularity"/> is 0.</exception>
    IVirtualMemory CreateVirtualMemory(long pageBytes, int maxPages);

    /// <summary>Allocates plain memory of undefined content, at a multiple of 64 bytes.</summary>
    /// <exception cref="OutOfMemoryException">There is not that much memory.</exception>
    nint Allocate(long bytes);

    /// <summary>Frees what <see cref="Allocate"/> returned.</summary>
    void Free(nint address);

    /// <summary>Copies between two places that do not overlap; returns when the copy can be read.</summary>
    void Copy(nint destination, nint source, long bytes);
}
