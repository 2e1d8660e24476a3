using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Decart.Inference.Native.MacOS;
using Decart.Inference.Native.Posix;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Memory;

/// <summary>
/// Pages in a POSIX shared memory object, whose name is gone as soon as it is open. macOS cannot punch holes into one: a released page's memory
/// serves the next page that is created, and goes back to the system when this is disposed.
/// </summary>
internal sealed class MacOSVirtualMemory(long pageBytes, int maxPages)
    : PosixVirtualMemory(pageBytes, maxPages, CreateFile, PosixMemory.MapPrivate | MacOSMemory.MapAnonymous | MacOSMemory.MapNoReserve)
{
    private const int OwnerReadsAndWrites = 0x180;

    protected override void DiscardContent(long offset)
    {
    }

    private static SafeFileHandle CreateFile()
    {
        string name = "/decart-" + RandomNumberGenerator.GetHexString(20);
        const int Flags = MacOSMemory.OpenReadWrite | MacOSMemory.OpenCreate | MacOSMemory.OpenExclusive;
        SafeFileHandle file = MacOSMemory.OpenShared(name, Flags, OwnerReadsAndWrites);
        if (!file.IsInvalid && MacOSMemory.UnlinkShared(name) == 0) return file;
        int error = Marshal.GetLastPInvokeError();
        file.Dispose();
        throw new VirtualMemoryException($"The system refused a shared memory object: {Marshal.GetPInvokeErrorMessage(error)} (errno {error}).");
    }
}
