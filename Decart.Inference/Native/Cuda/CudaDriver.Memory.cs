using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

// Memory. A CUdeviceptr is an address that is unique in the process (unified addressing).
internal static partial class CudaDriver
{
    [LibraryImport(Library, EntryPoint = "cuMemGetInfo_v2")]
    public static partial CudaResult GetMemoryInfo(out nuint free, out nuint total);

    [LibraryImport(Library, EntryPoint = "cuMemAlloc_v2")]
    public static partial CudaResult Allocate(out nint address, nuint size);

    [LibraryImport(Library, EntryPoint = "cuMemFree_v2")]
    public static partial CudaResult Free(nint address);

    [LibraryImport(Library, EntryPoint = "cuMemcpy")]
    public static partial CudaResult Copy(nint destination, nint source, nuint size);

    [LibraryImport(Library, EntryPoint = "cuMemGetAllocationGranularity")]
    public static partial CudaResult GetGranularity(out nuint granularity, in CudaAllocationProperties properties, CudaGranularity option);

    [LibraryImport(Library, EntryPoint = "cuMemAddressReserve")]
    public static partial CudaResult ReserveAddresses(out nint address, nuint size, nuint alignment, nint hint, ulong flags);

    [LibraryImport(Library, EntryPoint = "cuMemAddressFree")]
    public static partial CudaResult FreeAddresses(nint address, nuint size);

    [LibraryImport(Library, EntryPoint = "cuMemCreate")]
    public static partial CudaResult CreatePage(out nint handle, nuint size, in CudaAllocationProperties properties, ulong flags);

    [LibraryImport(Library, EntryPoint = "cuMemRelease")]
    public static partial CudaResult ReleasePage(nint handle);

    [LibraryImport(Library, EntryPoint = "cuMemMap")]
    public static partial CudaResult Map(nint address, nuint size, nuint offset, nint handle, ulong flags);

    [LibraryImport(Library, EntryPoint = "cuMemUnmap")]
    public static partial CudaResult Unmap(nint address, nuint size);

    [LibraryImport(Library, EntryPoint = "cuMemSetAccess")]
    public static partial CudaResult SetAccess(nint address, nuint size, in CudaAccess access, nuint count);
}

/// <summary><c>CUmemLocation</c>: a device by its number.</summary>
internal readonly struct CudaMemoryLocation(int device)
{
    private const int TypeDevice = 1;

    public readonly int Type = TypeDevice;
    public readonly int Id = device;
}

/// <summary><c>CUmemAllocationProp</c>: pinned memory of a device that is shared with no other process.</summary>
internal readonly struct CudaAllocationProperties(int device)
{
    private const int TypePinned = 1;

    public readonly int Type = TypePinned;
    public readonly int HandleTypes;
    public readonly CudaMemoryLocation Location = new(device);
    public readonly nint SecurityAttributes;

    /// <summary>One byte for compression, one for access by other hardware, two for usage, four unused.</summary>
    public readonly ulong Flags;
}

/// <summary><c>CUmemAccessDesc</c>: the device reads and writes.</summary>
internal readonly struct CudaAccess(int device)
{
    private const int ReadWrite = 3;

    public readonly CudaMemoryLocation Location = new(device);
    public readonly int Flags = ReadWrite;
}

/// <summary><c>CUmemAllocationGranularity_flags</c>.</summary>
internal enum CudaGranularity
{
    Minimum = 0,
}
