using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Native.Linux;

/// <summary>Memory calls that only Linux has. Failures leave errno in <see cref="Marshal.GetLastPInvokeError"/>.</summary>
internal static partial class LinuxMemory
{
    public const int MapAnonymous = 0x20;
    public const int MapNoReserve = 0x4000;
    public const uint CloseOnExec = 1;
    public const int KeepSize = 1;
    public const int PunchHole = 2;

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial SafeFileHandle CreateMemoryFile(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);
}
