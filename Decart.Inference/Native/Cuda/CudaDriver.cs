using System.Reflection;
using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

/// <summary>
/// The CUDA driver's own interface, call by call: each method is the function named in its entry point, its parameters in the same order.
/// One file per subject. Results are checked with <see cref="Check(CudaResult, string)"/>; the calls need a context made current on the thread
/// (<see cref="CudaContext.MakeCurrent"/>) unless their documentation says otherwise.
/// </summary>
internal static partial class CudaDriver
{
    private const string Library = "cuda";

    static CudaDriver() => NativeLibrary.SetDllImportResolver(typeof(CudaDriver).Assembly, Resolve);

    /// <summary>
    /// The files looked for; the first that loads is taken. The second is where the Windows Subsystem for Linux has it. Tests look elsewhere, before the
    /// first call.
    /// </summary>
    public static IReadOnlyList<string> LibraryNames { get; set; } =
        OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"];

    /// <exception cref="CudaException">The driver reported an error.</exception>
    public static void Check(CudaResult result, string operation)
    {
        if (result != CudaResult.Success) throw new CudaException(result, operation);
    }

    /// <summary>The same for calls that make something, which a driver may say it has done without doing it.</summary>
    /// <exception cref="CudaException">The driver reported an error, or made nothing.</exception>
    public static void Check(CudaResult result, nint made, string operation)
    {
        Check(result, operation);
        if (made == 0) throw new CudaException($"The CUDA driver reports success and gives nothing for {operation}.");
    }

    /// <summary>The functions declared here that the driver lacks, found without calling any; empty without a driver.</summary>
    public static IReadOnlyList<string> FindMissing()
    {
        nint library = Load();
        if (library == 0) return [];
        IEnumerable<string> functions = typeof(CudaDriver)
            .GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
            .Select(method => method.GetCustomAttribute<DllImportAttribute>()?.EntryPoint)
            .OfType<string>();
        return [.. functions.Where(function => !NativeLibrary.TryGetExport(library, function, out _)).Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>The driver's name for a result and its sentence about it.</summary>
    public static string Describe(CudaResult result) =>
        GetErrorName(result, out nint name) == CudaResult.Success && GetErrorString(result, out nint text) == CudaResult.Success && name != 0 && text != 0
            ? $"{Marshal.PtrToStringUTF8(name)}, {Marshal.PtrToStringUTF8(text)}"
            : $"an error that this driver does not know ({(int)result})";

    [LibraryImport(Library, EntryPoint = "cuInit")]
    public static partial CudaResult Initialize(uint flags);

    [LibraryImport(Library, EntryPoint = "cuGetErrorName")]
    private static partial CudaResult GetErrorName(CudaResult result, out nint text);

    [LibraryImport(Library, EntryPoint = "cuGetErrorString")]
    private static partial CudaResult GetErrorString(CudaResult result, out nint text);

    /// <summary>The assembly's only resolver: other native libraries that need one are added here.</summary>
    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) => name == Library ? Load() : 0;

    private static nint Load()
    {
        foreach (string file in LibraryNames)
        {
            if (NativeLibrary.TryLoad(file, out nint handle)) return handle;
        }
        return 0;
    }
}
