using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Native.MacOS;

/// <summary>Memory calls of macOS. Failures leave errno in <see cref="Marshal.GetLastPInvokeError"/>.</summary>
internal static partial class MacOSMemory
{
    public const int MapAnonymous = 0x1000;
    public const int MapNoReserve = 0x40;
    public const int OpenReadWrite = 0x2;
    public const int OpenCreate = 0x200;
    public const int OpenExclusive = 0x800;

    /// <summary>Opens a shared memory object; the descriptor is closed on exec.</summary>
    /// <param name="name">A slash and at most 30 more characters.</param>
    /// <param name="flags">How to open it.</param>
    /// <param name="mode">Access rights of a new object.</param>
    public static SafeFileHandle OpenShared(string name, int flags, nint mode) => OpenShared(name, flags, mode, 0, 0, 0, 0, 0, mode);

    [LibraryImport("libc", EntryPoint = "shm_unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int UnlinkShared(string name);

    /// <summary>
    /// <c>int shm_open(const char *name, int flags, ...)</c>. The mode is a variadic argument: on x64 it is passed like any third
    /// argument, in a register; on arm64 Apple puts it on the stack, where also the ninth argument of a plain call goes, the first
    /// eight being in registers.
    /// </summary>
    [LibraryImport("libc", EntryPoint = "shm_open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenShared(
        string name, int flags, nint modeOnX64, nint unused3, nint unused4, nint unused5, nint unused6, nint unused7, nint modeOnArm64);
}
