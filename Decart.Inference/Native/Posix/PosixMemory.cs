using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Decart.Inference.Native.Posix;

/// <summary>
/// Memory mapping calls whose signatures are the same on 64-bit Linux and macOS. Failures leave errno in
/// <see cref="Marshal.GetLastPInvokeError"/>.
/// </summary>
internal static partial class PosixMemory
{
    public const int ProtectNone = 0;
    public const int ProtectReadWrite = 1 | 2;
    public const int MapShared = 0x1;
    public const int MapPrivate = 0x2;
    public const int MapFixed = 0x10;
    public const int NoFile = -1;

    /// <summary>ENOMEM.</summary>
    public const int OutOfMemory = 12;

    /// <summary>What <see cref="Map(nint, nuint, int, int, int, long)"/> returns when it fails.</summary>
    public const nint Failed = -1;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nuint length, int protection, int flags, SafeFileHandle file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    public static partial int SetLength(SafeFileHandle file, long length);
}
