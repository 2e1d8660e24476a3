using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using System.Text;
using Decart.Inference.Native.Cuda;
using Decart.Inference.Tests.Checkpoints;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Native;

/// <summary>What became of opening a device with a fake driver.</summary>
/// <param name="Device">The device that was opened, or null.</param>
/// <param name="Error">The exception, or null.</param>
/// <param name="Log">The lines that were logged.</param>
internal sealed record FakeDriverOutcome(string? Device, Exception? Error, IReadOnlyList<string> Log);

/// <summary>
/// A CUDA driver made by this machine's C compiler, that answers what a test wants. The library is loaded once more, in a context of its own, to find that
/// driver in place of the machine's.
/// </summary>
internal sealed class FakeCudaDriver : IDisposable
{
    /// <summary>The bodies of functions that give something; those that are not here report success and do nothing.</summary>
    private static readonly Dictionary<string, string> Bodies = new()
    {
        ["cuDriverGetVersion"] = "*(int *)a = 12990;",
        ["cuDeviceGetCount"] = "*(int *)a = 1;",
        ["cuDeviceGet"] = "*(int *)a = 0;",
        ["cuDeviceGetAttribute"] = "switch ((int)(long)b) { case 16: *(int *)a = 108; break; case 75: *(int *)a = 8; break; case 97: *(int *)a = 166912; break; default: *(int *)a = 0; }",
        ["cuDevicePrimaryCtxRetain"] = "*(void **)a = (void *)1;",
        ["cuMemGetInfo_v2"] = "*(size_t *)a = 1ul << 30; *(size_t *)b = 1ul << 31;",
        ["cuMemAlloc_v2"] = "*(void **)a = calloc(1, (size_t)b);",
        ["cuMemFree_v2"] = "free(a);",
        ["cuMemHostAlloc"] = "*(void **)a = calloc(1, (size_t)b);",
        ["cuMemFreeHost"] = "free(a);",
        ["cuMemcpy"] = "memcpy(a, b, (size_t)c);",
        ["cuMemcpyAsync"] = "memcpy(a, b, (size_t)c);",
        ["cuMemsetD8Async"] = "memset(a, (int)(long)b, (size_t)c);",
        ["cuMemGetAllocationGranularity"] = "*(size_t *)a = 1ul << 21;",
        ["cuStreamCreate"] = "*(void **)a = (void *)1;",
        ["cuEventCreate"] = "*(void **)a = (void *)1;",
        ["cuStreamEndCapture"] = "*(void **)b = (void *)1;",
        ["cuGraphInstantiateWithFlags"] = "*(void **)a = (void *)1;",
        ["cuModuleLoadDataEx"] = "*(void **)a = (void *)1;",
        ["cuModuleGetFunction"] = "*(void **)a = (void *)1;",
        ["cuGetErrorName"] = "*(char **)b = \"CUDA_ERROR_FAKE\";",
        ["cuGetErrorString"] = "*(char **)b = \"the fake driver's error\";",
    };

    private readonly TemporaryFolder _folder = new();
    private readonly string _library;

    private FakeCudaDriver(string source)
    {
        string file = _folder.Write("driver.c", source);
        _library = Path.Combine(_folder.Path, "libfakecuda.so");
        using Process compiler = Process.Start(new ProcessStartInfo("cc", ["-shared", "-fPIC", "-w", "-o", _library, file]) { RedirectStandardError = true })!;
        string errors = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        Assert.That(compiler.ExitCode, Is.Zero, errors);
    }

    /// <summary>The functions that the library calls.</summary>
    public static IReadOnlyList<string> Functions { get; } =
    [
        .. typeof(CudaDriver).GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
            .Select(method => method.GetCustomAttribute<DllImportAttribute>()?.EntryPoint).OfType<string>().Distinct(),
    ];

    /// <summary>Makes a driver; ignores the test, with the reason, where there is no C compiler.</summary>
    /// <param name="changes">C statements for functions that are not to behave, or null for those that are to be missing.</param>
    public static FakeCudaDriver Create(params ReadOnlySpan<(string Function, string? Body)> changes)
    {
        if (!OperatingSystem.IsLinux() || !(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "cc"))))
            Assert.Ignore("A fake driver needs Linux and a C compiler (cc).");
        Dictionary<string, string?> bodies = Functions.ToDictionary(name => name, name => Bodies.GetValueOrDefault(name));
        HashSet<string> missing = [];
        foreach ((string function, string? body) in changes)
        {
            Assert.That(bodies, Does.ContainKey(function), "the library calls it");
            if (body is null) missing.Add(function);
            else bodies[function] = body;
        }
        StringBuilder source = new("#include <stdlib.h>\n#include <string.h>\n");
        foreach ((string name, string? body) in bodies)
        {
            if (!missing.Contains(name)) source.AppendLine($"int {name}(void *a, void *b, void *c, void *d, void *e, void *f, void *g) {{ {body} return 0; }}");
        }
        return new FakeCudaDriver(source.ToString());
    }

    /// <summary>Has the library open a device with this driver.</summary>
    /// <param name="device">As options name it.</param>
    public FakeDriverOutcome Open(string device) => Open(device, _library, _folder.Path);

    /// <summary>Has the library open a device with a file for a driver.</summary>
    /// <param name="device">As options name it.</param>
    /// <param name="library">The file.</param>
    /// <param name="cacheFolder">Where compiled kernels go.</param>
    public static FakeDriverOutcome Open(string device, string library, string cacheFolder)
    {
        Assembly own = new AssemblyLoadContext("fake driver").LoadFromAssemblyPath(typeof(LlmSession).Assembly.Location);
        Type Type(string name) => own.GetType("Decart.Inference." + name, throwOnError: true)!;
        Type("Native.Cuda.CudaDriver").GetProperty(nameof(CudaDriver.LibraryNames))!.SetValue(null, new[] { library });
        object options = Activator.CreateInstance(Type(nameof(LlmSessionOptions)))!;
        Type(nameof(LlmSessionOptions)).GetProperty(nameof(LlmSessionOptions.Device))!
            .SetValue(options, Type(nameof(Inference.Device)).GetMethod(nameof(Inference.Device.Parse), [typeof(string), typeof(IFormatProvider)])!.Invoke(null, [device, null]));
        Type(nameof(LlmSessionOptions)).GetProperty(nameof(LlmSessionOptions.Threads))!.SetValue(options, 1);
        object cache = Activator.CreateInstance(Type("Kernels.Gpu.Compilation.KernelCache"), cacheFolder)!;
        RecordedLines log = new();
        try
        {
            object choice = Type("Loading.DeviceChoice").GetMethod("Open")!.Invoke(null, [options, log, cache, int.MaxValue, null])!;
            using var backend = (IDisposable)choice.GetType().GetProperty("Backend")!.GetValue(choice)!;
            return new FakeDriverOutcome(choice.GetType().GetProperty("Device")!.GetValue(choice)!.ToString(), null, log.Lines);
        }
        catch (TargetInvocationException error)
        {
            return new FakeDriverOutcome(null, error.InnerException, log.Lines);
        }
    }

    public void Dispose() => _folder.Dispose();

    private sealed class RecordedLines : ILogger
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Add(formatter(state, exception));
    }
}
