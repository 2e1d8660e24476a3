using System.Runtime.InteropServices;
using Decart.Inference.Native.Windows;

namespace Decart.Inference.Memory;

/// <summary>
/// Each page is a section backed by the paging file, its handle the page's, so that the page's memory is counted as committed from the start
/// and goes back with it. Reserved addresses are placeholders, which views of the sections replace.
/// </summary>
internal sealed unsafe class WindowsVirtualMemory(long pageBytes, int maxPages, long granularity) : VirtualMemory(pageBytes, granularity, maxPages)
{
    private readonly PlaceholderSplits _splits = new(pageBytes);

    protected override nint ReserveCore(long bytes)
    {
        var alignment = new WindowsMemory.AddressRequirements { Alignment = (nuint)PageBytes };
        var parameter = new WindowsMemory.ExtendedParameter
        {
            Type = WindowsMemory.ExtendedParameter.TypeAddressRequirements,
            Pointer = (nint)(&alignment),
        };
        const uint Kind = WindowsMemory.MemoryReserve | WindowsMemory.MemoryReservePlaceholder;
        nint address = WindowsMemory.Allocate(WindowsMemory.ThisProcess, 0, (nuint)bytes, Kind, WindowsMemory.PageNoAccess, &parameter, 1);
        return address != 0 ? address : throw Refused("reserving addresses", bytes);
    }

    protected override void FreeCore(Reservation reservation)
    {
        VirtualMemoryException? refused = null;
        foreach (nint placeholder in _splits.Remove(reservation))
        {
            if (!WindowsMemory.Free(placeholder, 0, WindowsMemory.MemoryRelease)) refused ??= Refused("freeing addresses", reservation.Bytes);
        }
        if (refused is not null) throw refused;
    }

    protected override nint CreatePageCore()
    {
        const uint Kind = WindowsMemory.PageReadWrite | WindowsMemory.SectionCommit;
        nint section = WindowsMemory.CreateSection(WindowsMemory.PagingFile, 0, Kind, (uint)(PageBytes >> 32), (uint)PageBytes, 0);
        return section != 0 ? section : throw Refused("creating a page", PageBytes);
    }

    protected override void ReleasePageCore(nint page)
    {
        if (!WindowsMemory.Close(page)) throw Refused("releasing a page", PageBytes);
    }

    protected override void MapCore(Reservation reservation, nint address, nint page)
    {
        const uint Split = WindowsMemory.MemoryRelease | WindowsMemory.MemoryPreservePlaceholder;
        bool onItsOwn = _splits.IsPage(reservation, address) || WindowsMemory.Free(address, (nuint)PageBytes, Split);
        if (!onItsOwn) throw Refused("splitting reserved addresses", PageBytes);
        _splits.Add(address);
        nint view = WindowsMemory.MapView(page, WindowsMemory.ThisProcess, address, 0, (nuint)PageBytes,
            WindowsMemory.MemoryReplacePlaceholder, WindowsMemory.PageReadWrite, null, 0);
        if (view == 0) throw Refused("mapping a page", PageBytes);
    }

    protected override long UnmapCore(nint address, long bytes) =>
        WindowsMemory.UnmapView(WindowsMemory.ThisProcess, address, WindowsMemory.MemoryPreservePlaceholder)
            ? PageBytes
            : throw Refused("unmapping a page", PageBytes);

    protected override void Close()
    {
    }

    private static VirtualMemoryException Refused(string operation, long bytes)
    {
        int error = Marshal.GetLastPInvokeError();
        return new VirtualMemoryException($"Windows refused {operation} ({bytes} bytes): {Marshal.GetPInvokeErrorMessage(error)} (error {error}).");
    }
}
