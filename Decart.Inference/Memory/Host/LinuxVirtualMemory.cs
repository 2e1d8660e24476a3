using System.Runtime.InteropServices;
using Decart.Inference.Native.Linux;
using Decart.Inference.Native.Posix;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Memory;

/// <summary>Pages in a <c>memfd</c>. A released page's memory goes back at once.</summary>
internal sealed class LinuxVirtualMemory(long pageBytes, int maxPages)
    : PosixVirtualMemory(pageBytes, maxPages, CreateFile, PosixMemory.MapPrivate | LinuxMemory.MapAnonymous | LinuxMemory.MapNoReserve)
{
    protected override string MappingHint => " Each separately mapped page counts against vm.max_map_count: raise it, or use larger pages.";

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
}
