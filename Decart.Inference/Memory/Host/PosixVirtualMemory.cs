using System.Runtime.InteropServices;
using Decart.Inference.Native.Posix;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Memory;

/// <summary>
/// Pages in one file that lives in memory: page n is the n-th piece of the file, its handle n + 1. Reserved addresses are an inaccessible
/// private mapping; a page is mapped over it, and an inaccessible mapping over the page to unmap it, so that the addresses are never free
/// for others in between. The system gives memory to a page where it is first written.
/// </summary>
internal abstract class PosixVirtualMemory : VirtualMemory
{
    private readonly SafeFileHandle _file;
    private readonly int _inaccessible;
    private readonly Stack<nint> _released = [];
    private nint _lastPage;

    /// <param name="pageBytes">Bytes of a page.</param>
    /// <param name="maxPages">The most pages that will exist at once.</param>
    /// <param name="createFile">Opens an empty file, which is made long enough for all pages here.</param>
    /// <param name="inaccessible">The system's flags of a private mapping without a file or a claim on memory.</param>
    protected PosixVirtualMemory(long pageBytes, int maxPages, Func<SafeFileHandle> createFile, int inaccessible)
        : base(pageBytes, Environment.SystemPageSize, maxPages)
    {
        _inaccessible = inaccessible;
        _file = createFile();
        long bytes = pageBytes * maxPages;
        if (PosixMemory.SetLength(_file, bytes) == 0) return;
        VirtualMemoryException refused = Refused("making the page file", bytes);
        _file.Dispose();
        throw refused;
    }

    protected SafeFileHandle File => _file;

    /// <summary>What usually lies behind a shortage of memory when a page is mapped or unmapped: a sentence with a space before it, or nothing.</summary>
    protected virtual string MappingHint => "";

    protected override nint ReserveCore(long bytes)
    {
        // Enough to find a multiple of the page size in it; what lies before and after goes back.
        nuint padded = (nuint)bytes + (nuint)(PageBytes - Environment.SystemPageSize);
        nint start = PosixMemory.Map(0, padded, PosixMemory.ProtectNone, _inaccessible, PosixMemory.NoFile, 0);
        if (start == PosixMemory.Failed) throw Refused("reserving addresses", bytes);
        nint address = (start + (nint)PageBytes - 1) & -(nint)PageBytes;
        nuint before = (nuint)(address - start), after = padded - before - (nuint)bytes;
        if ((before == 0 || PosixMemory.Unmap(start, before) == 0)
            && (after == 0 || PosixMemory.Unmap(address + (nint)bytes, after) == 0))
        {
            return address;
        }
        VirtualMemoryException refused = Refused("trimming reserved addresses", bytes);
        _ = PosixMemory.Unmap(start, padded);
        throw refused;
    }

    protected override void FreeCore(Reservation reservation)
    {
        if (PosixMemory.Unmap(reservation.Address, (nuint)reservation.Bytes) != 0) throw Refused("freeing addresses", reservation.Bytes);
    }

    protected override nint CreatePageCore() => _released.TryPop(out nint page) ? page : ++_lastPage;

    protected override void ReleasePageCore(nint page)
    {
        DiscardContent(OffsetOf(page));
        _released.Push(page);
    }

    protected override void MapCore(Reservation reservation, nint address, nint page)
    {
        const int Flags = PosixMemory.MapShared | PosixMemory.MapFixed;
        if (PosixMemory.Map(address, (nuint)PageBytes, PosixMemory.ProtectReadWrite, Flags, _file, OffsetOf(page)) == PosixMemory.Failed)
            throw Refused("mapping a page", PageBytes, MappingHint);
    }

    protected override long UnmapCore(nint address, long bytes)
    {
        int flags = _inaccessible | PosixMemory.MapFixed;
        return PosixMemory.Map(address, (nuint)bytes, PosixMemory.ProtectNone, flags, PosixMemory.NoFile, 0) != PosixMemory.Failed
            ? bytes
            : throw Refused("unmapping pages", bytes, MappingHint);
    }

    protected override void Close() => _file.Dispose();

    /// <summary>Gives the memory of a page back to the system, where that can be done.</summary>
    protected abstract void DiscardContent(long offset);

    /// <summary>What the last failed call's errno says.</summary>
    /// <param name="operation">What was tried, to stand after "refused".</param>
    /// <param name="bytes">For how many bytes.</param>
    /// <param name="shortage">What is to be said, with a space before it, if memory is what the system lacks.</param>
    protected static VirtualMemoryException Refused(string operation, long bytes, string shortage = "")
    {
        int error = Marshal.GetLastPInvokeError();
        string reason = $"{Marshal.GetPInvokeErrorMessage(error)} (errno {error}).{(error == PosixMemory.OutOfMemory ? shortage : "")}";
        return new VirtualMemoryException($"The system refused {operation} ({bytes} bytes): {reason}");
    }

    private long OffsetOf(nint page) => (page - 1) * PageBytes;
}
