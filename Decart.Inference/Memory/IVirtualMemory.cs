namespace Decart.Inference.Memory;

/// <summary>
/// Physical pages and addresses to see them at, as a memory management unit offers them: addresses are reserved without memory behind them,
/// pages are created without addresses, and a page is mapped at an address, or at several at once. Any thread may call; calls for
/// the same addresses or pages must not overlap.
/// </summary>
/// <remarks>Disposal releases whatever is still reserved, created or mapped.</remarks>
internal interface IVirtualMemory : IDisposable
{
    /// <summary>Bytes of every page: a power of two. Addresses and lengths below are multiples of it.</summary>
    long PageBytes { get; }

    /// <summary>Reserves addresses; touching them before a page is mapped there is an error that ends the process.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses.</exception>
    nint Reserve(long bytes);

    /// <summary>Gives a whole reservation back. Nothing may be mapped there any longer.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses.</exception>
    void Free(nint address, long bytes);

    /// <summary>Creates a page of undefined content.</summary>
    /// <returns>A handle for the calls below.</returns>
    /// <exception cref="VirtualMemoryException">There is no memory for it.</exception>
    nint CreatePage();

    /// <summary>Gives a page's memory back. It may not be mapped any longer.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses.</exception>
    void ReleasePage(nint page);

    /// <summary>Maps a page for reading and writing at a reserved address where no page is mapped.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses; nothing is mapped there.</exception>
    void Map(nint address, nint page);

    /// <summary>Takes the mappings of consecutive pages away; the addresses stay reserved and the pages keep their content.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses.</exception>
    void Unmap(nint address, long bytes);
}
