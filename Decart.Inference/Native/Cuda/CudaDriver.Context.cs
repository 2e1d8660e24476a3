using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

// Devices, contexts, streams. A CUdevice is an int; the calls on devices need no current context.
internal static partial class CudaDriver
{
    /// <summary>The stream that calls without a stream run on.</summary>
    public const nint DefaultStream = 0;

    [LibraryImport(Library, EntryPoint = "cuDeviceGetCount")]
    public static partial CudaResult GetDeviceCount(out int count);

    [LibraryImport(Library, EntryPoint = "cuDeviceGet")]
    public static partial CudaResult GetDevice(out int device, int index);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetAttribute")]
    public static partial CudaResult GetDeviceAttribute(out int value, CudaDeviceAttribute attribute, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRetain")]
    public static partial CudaResult RetainPrimaryContext(out nint context, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRelease_v2")]
    public static partial CudaResult ReleasePrimaryContext(int device);

    [LibraryImport(Library, EntryPoint = "cuCtxSetCurrent")]
    public static partial CudaResult SetCurrentContext(CudaContext context);

    [LibraryImport(Library, EntryPoint = "cuDeviceCanAccessPeer")]
    public static partial CudaResult CanAccessPeer(out int can, int device, int peer);

    [LibraryImport(Library, EntryPoint = "cuCtxEnablePeerAccess")]
    public static partial CudaResult EnablePeerAccess(CudaContext peer, uint flags);

    [LibraryImport(Library, EntryPoint = "cuStreamSynchronize")]
    public static partial CudaResult SynchronizeStream(nint stream);
}

/// <summary><c>CUdevice_attribute</c>.</summary>
internal enum CudaDeviceAttribute
{
    Multiprocessors = 16,
    ComputeCapabilityMajor = 75,
    ComputeCapabilityMinor = 76,
    MaxSharedBytesOfGroup = 97, // "opt-in": dynamic and static together
    VirtualMemoryManagementSupported = 102,
}
