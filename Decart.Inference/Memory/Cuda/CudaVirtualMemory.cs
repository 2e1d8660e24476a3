using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Memory;

/// <summary>
/// The virtual memory of a GPU. A page is a memory allocation of the driver, its handle the page's. Kernels that use an address must have
/// ended before a page is unmapped there, and the context must not be disposed of before this is.
/// </summary>
internal sealed class CudaVirtualMemory(CudaContext context, long pageBytes, long granularity, int maxPages)
    : VirtualMemory(pageBytes, granularity, maxPages)
{
    protected override nint ReserveCore(long bytes)
    {
        MakeCurrent();
        Check(CudaDriver.ReserveAddresses(out nint address, (nuint)bytes, (nuint)PageBytes, 0, 0), "reserving addresses", bytes);
        return address;
    }

    protected override void FreeCore(Reservation reservation)
    {
        MakeCurrent();
        Check(CudaDriver.FreeAddresses(reservation.Address, (nuint)reservation.Bytes), "freeing addresses", reservation.Bytes);
    }

    protected override nint CreatePageCore()
    {
        MakeCurrent();
        Check(CudaDriver.CreatePage(out nint page, (nuint)PageBytes, new CudaAllocationProperties(context.Device), 0), "creating a page", PageBytes);
        return page;
    }

    protected override void ReleasePageCore(nint page)
    {
        MakeCurrent();
        Check(CudaDriver.ReleasePage(page), "releasing a page", PageBytes);
    }

    protected override void MapCore(Reservation reservation, nint address, nint page)
    {
        MakeCurrent();
        Check(CudaDriver.Map(address, (nuint)PageBytes, 0, page, 0), "mapping a page", PageBytes);
        CudaResult access = CudaDriver.SetAccess(address, (nuint)PageBytes, new CudaAccess(context.Device), 1);
        if (access == CudaResult.Success) return;
        _ = CudaDriver.Unmap(address, (nuint)PageBytes);
        Check(access, "access to a mapped page", PageBytes);
    }

    /// <remarks>Page by page: the driver takes a mapping away as a whole or not at all.</remarks>
    protected override long UnmapCore(nint address, long bytes)
    {
        MakeCurrent();
        Check(CudaDriver.Unmap(address, (nuint)PageBytes), "unmapping a page", PageBytes);
        return PageBytes;
    }

    protected override void Close()
    {
    }

    private void MakeCurrent() => Check(CudaDriver.SetCurrentContext(context), "making a context current", 0);

    private static void Check(CudaResult result, string operation, long bytes)
    {
        if (result == CudaResult.Success) return;
        var refused = new CudaException(result, $"{operation} ({bytes} bytes)");
        throw new VirtualMemoryException(refused.Message, refused);
    }
}
