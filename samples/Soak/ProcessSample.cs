using System.Diagnostics;

namespace Soak;

/// <summary>What the process holds at one moment.</summary>
/// <param name="WorkingSet">Bytes of memory.</param>
/// <param name="Heap">Bytes of the managed heap after a full collection.</param>
/// <param name="Handles">Open file descriptors on Linux, handles elsewhere.</param>
/// <param name="Mappings">Ranges of addresses on Linux, 0 elsewhere.</param>
/// <param name="Threads">Threads.</param>
internal sealed record ProcessSample(long WorkingSet, long Heap, int Handles, int Mappings, int Threads)
{
    public static ProcessSample Take()
    {
        long heap = GC.GetTotalMemory(forceFullCollection: true);
        using var process = Process.GetCurrentProcess();
        return OperatingSystem.IsLinux()
            ? new ProcessSample(
                process.WorkingSet64, heap, Directory.GetFileSystemEntries("/proc/self/fd").Length, File.ReadLines("/proc/self/maps").Count(), process.Threads.Count)
            : new ProcessSample(process.WorkingSet64, heap, process.HandleCount, 0, process.Threads.Count);
    }
}
