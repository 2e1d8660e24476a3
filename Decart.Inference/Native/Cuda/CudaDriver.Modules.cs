using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

// Modules, kernels, launches.
internal static unsafe partial class CudaDriver
{
    [LibraryImport(Library, EntryPoint = "cuDriverGetVersion")]
    public static partial CudaResult GetVersion(out int version);

    [LibraryImport(Library, EntryPoint = "cuModuleLoadDataEx")]
    public static partial CudaResult LoadModule(out nint module, byte* image, uint optionCount, CudaJitOption* options, nint* values);

    [LibraryImport(Library, EntryPoint = "cuModuleUnload")]
    public static partial CudaResult UnloadModule(nint module);

    [LibraryImport(Library, EntryPoint = "cuModuleGetFunction", StringMarshalling = StringMarshalling.Utf8)]
    public static partial CudaResult GetFunction(out nint function, CudaModule module, string name);

    [LibraryImport(Library, EntryPoint = "cuFuncGetAttribute")]
    public static partial CudaResult GetFunctionAttribute(out int value, CudaFunctionAttribute attribute, nint function);

    [LibraryImport(Library, EntryPoint = "cuFuncSetAttribute")]
    public static partial CudaResult SetFunctionAttribute(nint function, CudaFunctionAttribute attribute, int value);

    [LibraryImport(Library, EntryPoint = "cuLaunchKernelEx")]
    public static partial CudaResult Launch(in CudaLaunch launch, nint function, void** parameters, void** extra);
}

/// <summary><c>CUjit_option</c>.</summary>
internal enum CudaJitOption
{
    InfoLog = 3,
    InfoLogBytes = 4,
    ErrorLog = 5,
    ErrorLogBytes = 6,
    LogVerbose = 12,
}

/// <summary><c>CUfunction_attribute</c>.</summary>
internal enum CudaFunctionAttribute
{
    LocalBytes = 3,
    Registers = 4,
    MaxDynamicSharedBytes = 8,
}

/// <summary><c>CUlaunchConfig</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CudaLaunch
{
    public uint GridX, GridY, GridZ;
    public uint BlockX, BlockY, BlockZ;
    public uint DynamicSharedBytes;
    public nint Stream;
    public CudaLaunchAttribute* Attributes;
    public uint AttributeCount;
}

/// <summary><c>CUlaunchAttribute</c>: a number, then a value of up to 64 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 72)]
internal struct CudaLaunchAttribute
{
    private int _id;
    private int _padding;
    private uint _x, _y, _z;

    /// <summary>Blocks of a cluster.</summary>
    public static CudaLaunchAttribute Cluster(int x) => new() { _id = 4, _padding = 0, _x = (uint)x, _y = 1, _z = 1 };

    /// <summary>The kernel may start before the one in front of it on the stream has ended (programmatic dependent launch).</summary>
    public static CudaLaunchAttribute StartEarly => new() { _id = 6, _x = 1 };
}
