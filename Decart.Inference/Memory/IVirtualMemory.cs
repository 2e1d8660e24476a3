namespace Decart.Inference.Memory;

/// <summary>
/// Physical pages and addresses to see them at, as a memory management unit offers them: addresses are reserved without memory behind them,
/// pages are created without addresses, and a page is mapped at an address, or at several at once. Any thread may call; calls for
/// the same addresses or pages must not overlap.
/// </summary>
/// <remarks>
/// Arguments that are not what a member asks for give an <see cref="ArgumentException"/> (or one derived from it), a member called where
/// its condition does not hold an <see cref="InvalidOperationException"/>, any member after disposal an
/// <see cref="ObjectDisposedException"/>: in each case nothing has changed. Disposal releases whatever is still reserved, created or mapped;
/// nothing may still be reading or writing there.
/// </remarks>
internal interface IVirtualMemory : IDisposable
{
    /// <summary>Bytes of every page: a power of two. Addresses and lengths below are multiples of it.</summary>
    long PageBytes { get; }

    /// <summary>Reserves addresses; touching them before a page is mapped there is an error that ends the process.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses.</exception>
    nint Reserve(long bytes);

    /// <summary>Gives a whole reservation back. Nothing may still be mapped there.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses; the reservation stays.</exception>
    void Free(nint address, long bytes);

    /// <summary>
    /// Creates a page of undefined content. Fewer pages than the most that were announced may exist. On Linux and macOS the system gives
    /// memory to a page where it is first written, and ends the process if there is none: create no more than
    /// <see cref="IDeviceMemory.MeasureFree"/> allows. On Windows and CUDA the memory is the page's from the start.
    /// </summary>
    /// <returns>A handle for the calls below, never 0.</returns>
    /// <exception cref="VirtualMemoryException">There is no memory for it.</exception>
    nint CreatePage();

    /// <summary>Gives a page's memory back. It must not be mapped anywhere.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses; the page stays.</exception>
    void ReleasePage(nint page);

    /// <summary>Maps a page for reading and writing at a reserved address where no page is mapped.</summary>
    /// <exception cref="VirtualMemoryException">The system refuses; nothing is mapped there.</exception>
    void Map(nint address, nint page);

    /// <summary>
    /// Takes the mappings of consecutive pages away; the addresses stay reserved and the pages keep their content. A page must be
    /// mapped at each of the addresses.
    /// </summary>
    /// <exception cref="VirtualMemoryException">
    /// The system refuses. The first pages of the range may be unmapped already: those up to one that is still mapped; call again for the rest.
    /// </exception>
    void Unmap(nint address, long bytes);
}
