using System.Globalization;
using System.Runtime.InteropServices;
using ILGPU.Runtime;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>
/// Keeps the threads of an emulated device on one core. They stop at every barrier of a group until the last has come, and waking one on another core takes many times longer than
/// what it has to do there. Devices that compute at the same time have cores of their own.
/// </summary>
internal static partial class OneCore
{
    private const int MostCores = 1024, WordBits = 64;

    /// <summary>Names the system's number of processors, which the runtime may have been told to take for another (<c>DOTNET_PROCESSOR_COUNT</c>).</summary>
    private const int ProcessorsOnline = 84;

    /// <summary>Threads that have their core; also the lock.</summary>
    private static readonly HashSet<int> Kept = [];

    /// <summary>Creates an emulated device, on Linux with its threads on one core.</summary>
    /// <param name="create">Creates it, and its threads.</param>
    /// <param name="rank">Which core, counted from the one that the caller is on.</param>
    public static Accelerator Create(Func<Accelerator> create, int rank)
    {
        lock (Kept)
        {
            Accelerator accelerator = create();
            if (OperatingSystem.IsLinux()) KeepNewThreads((Math.Max(CurrentCore(), 0) + rank) % (int)Math.Max(SystemValue(ProcessorsOnline), 1));
            return accelerator;
        }
    }

    private static void KeepNewThreads(int core)
    {
        Span<ulong> cores = stackalloc ulong[MostCores / WordBits];
        cores.Clear();
        cores[core / WordBits] = 1ul << (core % WordBits);
        foreach (string folder in Directory.EnumerateDirectories("/proc/self/task"))
        {
            int thread = int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture);
            if (!NameOf(folder).StartsWith("ILGPU_", StringComparison.Ordinal) || !Kept.Add(thread)) continue;
            // Where that core is not this process's to use the system refuses, and the thread stays where it may be.
            _ = SetAffinity(thread, MostCores / 8, ref cores[0]);
        }
    }

    private static string NameOf(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "comm"));
        }
        catch (IOException)
        {
            return ""; // it has ended
        }
    }

    [LibraryImport("libc", EntryPoint = "sched_getcpu")]
    private static partial int CurrentCore();

    [LibraryImport("libc", EntryPoint = "sysconf")]
    private static partial nint SystemValue(int name);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nint bytes, ref ulong cores);
}
