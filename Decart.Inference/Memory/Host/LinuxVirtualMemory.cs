using System.Globalization;
using System.Runtime.InteropServices;
using Decart.Inference.Native.Linux;
using Decart.Inference.Native.Posix;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Memory;

/// <summary>Pages in a <c>memfd</c>. A released page's memory goes back at once.</summary>
/// <remarks>
/// The kernel describes a process's addresses as at most <c>vm.max_map_count</c> ranges. At that limit nothing works any more: unmapping
/// fails too, and the garbage collector cannot grow. So all instances of the process together stop at seven eighths of it, with an exception.
/// </remarks>
internal sealed class LinuxVirtualMemory(long pageBytes, int maxPages)
    : PosixVirtualMemory(pageBytes, maxPages, CreateFile, PosixMemory.MapPrivate | LinuxMemory.MapAnonymous | LinuxMemory.MapNoReserve)
{
    private const string LimitName = "vm.max_map_count";

    private static int _processRanges;

    /// <summary>The most ranges that the instances of a process may make together.</summary>
    public static int MaxRanges { get; } = (int)(ReadLimit() / 8 * 7);

    protected override string MappingHint => $" Each separately mapped page counts against {LimitName}: raise it, or use larger pages.";

    protected override void OnRangesChanging(int change)
    {
        int ranges = Interlocked.Add(ref _processRanges, change);
        if (change <= 0 || ranges <= MaxRanges) return;
        Interlocked.Add(ref _processRanges, -change);
        throw new VirtualMemoryException(
            $"No further range of {PageBytes} bytes can be mapped: the {MaxRanges} that {LimitName} leaves are in use.{MappingHint}");
    }

    protected override void DiscardContent(long offset)
    {
        if (LinuxMemory.Allocate(File, LinuxMemory.PunchHole | LinuxMemory.KeepSize, offset, PageBytes) != 0) throw Refused("releasing a page", PageBytes);
    }

    private static SafeFileHandle CreateFile()
    {
        SafeFileHandle file = LinuxMemory.CreateMemoryFile("decart-pages", LinuxMemory.CloseOnExec);
        if (!file.IsInvalid) return file;
        int error = Marshal.GetLastPInvokeError();
        throw new VirtualMemoryException($"The system refused a file in memory: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");
    }

    private static long ReadLimit()
    {
        const long Default = 65530;
        try
        {
            string text = System.IO.File.ReadAllText("/proc/sys/vm/max_map_count");
            return int.Parse(text, NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException or OverflowException)
        {
            return Default;
        }
    }
}
