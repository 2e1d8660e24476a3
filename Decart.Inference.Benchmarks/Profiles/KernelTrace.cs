using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Decart.Inference.Benchmarks.Profiles;

/// <summary>
/// Records when each kernel of this process runs, those of graphs one by one, by CUPTI (the CUDA Profiling Tools Interface, activity API), which comes with CUDA and with PyTorch. One trace at a time.
/// </summary>
internal sealed unsafe class KernelTrace : IDisposable
{
    /// <summary>What is recorded: CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL.</summary>
    private const uint ConcurrentKernel = 10;

    /// <summary>Also what is not complete yet: CUPTI_ACTIVITY_FLAG_FLUSH_FORCED.</summary>
    private const uint Forced = 1;

    /// <summary>Places in a record of a kernel: newer versions add to its end (CUpti_ActivityKernel9 of CUDA 12; those of CUDA 13 were seen to agree).</summary>
    private const int StartOffset = 16, EndOffset = 24, DeviceOffset = 40, NameOffset = 104;

    private const int BufferBytes = 4 << 20, Alignment = 8;

    private static readonly Lock Gate = new();
    private static readonly List<KernelSpan> Spans = [];
    private static delegate* unmanaged<byte*, nuint, byte**, int> _next;

    private readonly delegate* unmanaged<uint, int> _disable, _flush;

    private KernelTrace(nint library)
    {
        _next = (delegate* unmanaged<byte*, nuint, byte**, int>)NativeLibrary.GetExport(library, "cuptiActivityGetNextRecord");
        _disable = (delegate* unmanaged<uint, int>)NativeLibrary.GetExport(library, "cuptiActivityDisable");
        _flush = (delegate* unmanaged<uint, int>)NativeLibrary.GetExport(library, "cuptiActivityFlushAll");
        var register = (delegate* unmanaged<nint, nint, int>)NativeLibrary.GetExport(library, "cuptiActivityRegisterCallbacks");
        var enable = (delegate* unmanaged<uint, int>)NativeLibrary.GetExport(library, "cuptiActivityEnable");
        Check(register((nint)(delegate* unmanaged<byte**, nuint*, nuint*, void>)&Request, (nint)(delegate* unmanaged<nint, uint, byte*, nuint, nuint, void>)&Complete), "cuptiActivityRegisterCallbacks");
        Check(enable(ConcurrentKernel), "cuptiActivityEnable");
    }

    private static string[] Files => OperatingSystem.IsWindows()
        ? ["cupti64_2025.4.0.dll", "cupti64_2024.1.1.dll", "cupti.dll"]
        : ["libcupti.so.13", "libcupti.so.12", "libcupti.so", "/usr/local/cuda/extras/CUPTI/lib64/libcupti.so", "/usr/local/cuda/lib64/libcupti.so"];

    /// <summary>Begins. Kernels are recorded from now on; graphs that were made before may not be.</summary>
    /// <exception cref="NotSupportedException">There is no CUPTI, or it does not record here.</exception>
    public static KernelTrace Start() => Start(Files);

    /// <inheritdoc cref="Start()"/>
    /// <param name="files">Where it may be.</param>
    internal static KernelTrace Start(IReadOnlyList<string> files)
    {
        Exception? refusal = null;
        foreach (string file in files)
        {
            if (!NativeLibrary.TryLoad(file, out nint library)) continue;
            try
            {
                return new KernelTrace(library);
            }
            catch (Exception exception) when (exception is NotSupportedException or EntryPointNotFoundException)
            {
                // Of an older or a newer driver, perhaps: another one may fit.
                refusal = exception;
            }
        }
        throw new NotSupportedException(
            refusal?.Message ?? $"A profile needs CUPTI, which comes with CUDA: none of {string.Join(", ", files)} was found. LD_LIBRARY_PATH can name its folder.", refusal);
    }

    /// <summary>What has ended since the last time, in no particular order.</summary>
    public IReadOnlyList<KernelSpan> Take()
    {
        Check(_flush(Forced), "cuptiActivityFlushAll");
        lock (Gate)
        {
            KernelSpan[] taken = [.. Spans];
            Spans.Clear();
            return taken;
        }
    }

    public void Dispose()
    {
        _ = _disable(ConcurrentKernel);
        // So that no buffer is left.
        _ = _flush(Forced);
        lock (Gate) Spans.Clear();
    }

    /// <summary>What a record says, if it is of a kernel.</summary>
    internal static KernelSpan? Read(byte* record) => *(uint*)record != ConcurrentKernel ? null : new KernelSpan(
        Marshal.PtrToStringUTF8(*(nint*)(record + NameOffset)) ?? "",
        *(long*)(record + StartOffset),
        *(long*)(record + EndOffset),
        *(int*)(record + DeviceOffset));

    [UnmanagedCallersOnly]
    private static void Request(byte** buffer, nuint* size, nuint* mostRecords)
    {
        *buffer = (byte*)NativeMemory.AlignedAlloc(BufferBytes, Alignment);
        *size = BufferBytes;
        *mostRecords = 0;
    }

    [UnmanagedCallersOnly]
    private static void Complete(nint context, uint stream, byte* buffer, nuint size, nuint validBytes)
    {
        byte* record = null;
        lock (Gate)
        {
            while (validBytes > 0 && _next(buffer, validBytes, &record) == 0)
            {
                if (Read(record) is { } span) Spans.Add(span);
            }
        }
        NativeMemory.AlignedFree(buffer);
    }

    private static void Check(int result, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != 0) throw new NotSupportedException($"CUPTI does not record kernels here: {call} returned {result}.");
    }
}
