using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

// Streams, events, and what is queued on streams besides kernels.
internal static partial class CudaDriver
{
    [LibraryImport(Library, EntryPoint = "cuStreamCreate")]
    public static partial CudaResult CreateStream(out nint stream, uint flags);

    [LibraryImport(Library, EntryPoint = "cuStreamDestroy_v2")]
    public static partial CudaResult DestroyStream(nint stream);

    [LibraryImport(Library, EntryPoint = "cuStreamSynchronize")]
    public static partial CudaResult SynchronizeStream(CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuStreamWaitEvent")]
    public static partial CudaResult WaitForEvent(CudaStream stream, CudaEvent @event, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventCreate")]
    public static partial CudaResult CreateEvent(out nint @event, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventDestroy_v2")]
    public static partial CudaResult DestroyEvent(nint @event);

    [LibraryImport(Library, EntryPoint = "cuEventRecord")]
    public static partial CudaResult RecordEvent(CudaEvent @event, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuEventSynchronize")]
    public static partial CudaResult SynchronizeEvent(CudaEvent @event);

    [LibraryImport(Library, EntryPoint = "cuEventElapsedTime")]
    public static partial CudaResult MeasureTime(out float milliseconds, CudaEvent start, CudaEvent end);

    [LibraryImport(Library, EntryPoint = "cuMemHostAlloc")]
    public static partial CudaResult AllocatePinned(out nint address, nuint size, uint flags);

    [LibraryImport(Library, EntryPoint = "cuMemFreeHost")]
    public static partial CudaResult FreePinned(nint address);

    [LibraryImport(Library, EntryPoint = "cuMemcpyAsync")]
    public static partial CudaResult StartCopy(nint destination, nint source, nuint size, CudaStream stream);

    [LibraryImport(Library, EntryPoint = "cuMemsetD8Async")]
    public static partial CudaResult StartFill(nint destination, byte value, nuint count, CudaStream stream);
}
