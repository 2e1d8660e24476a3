using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Memory;

/// <summary>The memory of a GPU. The context must outlive what comes from here.</summary>
internal sealed class CudaMemory : IDeviceMemory
{
    private readonly CudaContext _context;

    public CudaMemory(CudaContext context)
    {
        _context = context;
        if (context.GetAttribute(CudaDeviceAttribute.VirtualMemoryManagementSupported) == 0) return;
        CudaResult result = CudaDriver.GetGranularity(out nuint granularity, new CudaAllocationProperties(context.Device), CudaGranularity.Minimum);
        CudaDriver.Check(result, "the granularity of its memory");
        PageGranularity = (long)granularity;
    }

    /// <summary>2 MiB on the GPUs known so far; 0 where the driver does not offer virtual memory.</summary>
    public long PageGranularity { get; }

    /// <summary>The driver names no limit.</summary>
    public AddressRanges Ranges => AddressRanges.Unlimited;

    /// <summary>Nearly all: what the kernels need beside is allocated before.</summary>
    public double KvShare => 0.9;

    public long MeasureFree()
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.GetMemoryInfo(out nuint free, out _), "measuring free memory");
        return (long)free;
    }

    public IVirtualMemory CreateVirtualMemory(long pageBytes, int maxPages) => PageGranularity > 0
        ? new CudaVirtualMemory(_context, pageBytes, PageGranularity, maxPages)
        : throw new NotSupportedException("The CUDA driver offers no virtual memory for this GPU.");

    public nint Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        _context.MakeCurrent();
        CudaResult result = CudaDriver.Allocate(out nint address, (nuint)bytes);
        if (result == CudaResult.Success)
        {
            CudaDriver.Check(result, address, $"an allocation of {bytes} bytes");
            return address;
        }
        var refused = new CudaException(result, $"an allocation of {bytes} bytes");
        if (result == CudaResult.OutOfMemory) throw new InsufficientMemoryException(refused.Message, refused);
        throw refused;
    }

    public void Free(nint address)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.Free(address), "freeing memory");
    }

    /// <summary>Either place may be in the memory of the processor.</summary>
    public void Copy(nint destination, nint source, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        if (bytes == 0) return;
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.Copy(destination, source, (nuint)bytes), "a copy");
        // Within the GPU, and out of memory that is not pinned, the call returns before the bytes have arrived.
        CudaDriver.Check(CudaDriver.SynchronizeStream(CudaDriver.DefaultStream), "waiting for a copy");
    }
}
