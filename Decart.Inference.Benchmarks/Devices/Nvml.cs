using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;

namespace Decart.Inference.Benchmarks.Devices;

/// <summary>
/// NVIDIA's management library, which comes with the driver: a GPU's name, its driver and the energy that it has used. What cannot be had, because the library is not
/// there or the GPU does not tell, is null.
/// </summary>
internal static partial class Nvml
{
    private const string Library = "nvidia-ml", Cuda = "cuda";

    private const int Success = 0, TextBytes = 96;

    private static readonly Dictionary<string, string[]> Files = new()
    {
        [Library] = OperatingSystem.IsWindows() ? ["nvml.dll"] : ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"],
        [Cuda] = OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"],
    };

    static Nvml() => NativeLibrary.SetDllImportResolver(typeof(Nvml).Assembly, Resolve);

    private delegate int TextQuery(Span<byte> text, uint length);

    /// <summary>The driver's version, as 580.65.06.</summary>
    public static string? DriverVersion => TryInitialize() ? Text(GetDriverVersion) : null;

    /// <summary>A GPU's name.</summary>
    /// <param name="index">The CUDA driver's number of the GPU, which has been opened.</param>
    public static string? Name(int index) => Find(index) is { } device ? Text((text, length) => GetName(device, text, length)) : null;

    /// <summary>Joules that a GPU has used since its driver was loaded.</summary>
    /// <inheritdoc cref="Name" path="/param"/>
    public static double? Joules(int index) => Find(index) is { } device && GetEnergy(device, out ulong millijoules) == Success ? millijoules / 1e3 : null;

    private static bool TryInitialize() => Load(Library) != 0 && Initialize() == Success;

    /// <summary>The two libraries number GPUs in different orders; addresses on the bus are the same.</summary>
    private static nint? Find(int index)
    {
        if (!TryInitialize() || Load(Cuda) == 0) return null;
        Span<byte> address = stackalloc byte[TextBytes];
        return GetCudaDevice(out int cuda, index) == Success && GetBusAddress(address, TextBytes, cuda) == Success && GetDevice(address, out nint device) == Success ? device : null;
    }

    private static string? Text(TextQuery query)
    {
        Span<byte> text = stackalloc byte[TextBytes];
        if (query(text, TextBytes) != Success) return null;
        int length = text.IndexOf((byte)0);
        return Encoding.UTF8.GetString(length < 0 ? text : text[..length]);
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) => Files.ContainsKey(name) ? Load(name) : 0;

    private static nint Load(string library)
    {
        foreach (string file in Files[library])
        {
            if (NativeLibrary.TryLoad(file, out nint handle)) return handle;
        }
        return 0;
    }

    /// <summary>May be called any number of times.</summary>
    [LibraryImport(Library, EntryPoint = "nvmlInit_v2")]
    private static partial int Initialize();

    [LibraryImport(Library, EntryPoint = "nvmlSystemGetDriverVersion")]
    private static partial int GetDriverVersion(Span<byte> version, uint length);

    [LibraryImport(Library, EntryPoint = "nvmlDeviceGetHandleByPciBusId_v2")]
    private static partial int GetDevice(ReadOnlySpan<byte> address, out nint device);

    [LibraryImport(Library, EntryPoint = "nvmlDeviceGetName")]
    private static partial int GetName(nint device, Span<byte> name, uint length);

    [LibraryImport(Library, EntryPoint = "nvmlDeviceGetTotalEnergyConsumption")]
    private static partial int GetEnergy(nint device, out ulong millijoules);

    [LibraryImport(Cuda, EntryPoint = "cuDeviceGet")]
    private static partial int GetCudaDevice(out int device, int index);

    [LibraryImport(Cuda, EntryPoint = "cuDeviceGetPCIBusId")]
    private static partial int GetBusAddress(Span<byte> address, int length, int device);
}
