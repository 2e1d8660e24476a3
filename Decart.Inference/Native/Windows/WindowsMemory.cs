using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Windows;

/// <summary>
/// Memory calls of Windows. Failures leave the error in <see cref="Marshal.GetLastPInvokeError"/>. The newer ones are exported by
/// kernelbase.dll alone.
/// </summary>
internal static unsafe partial class WindowsMemory
{
    /// <summary>The pseudo handle of the process.</summary>
    public const nint ThisProcess = -1;

    /// <summary>In place of a file: a section backed by the paging file.</summary>
    public const nint PagingFile = -1;

    public const uint PageNoAccess = 0x01;
    public const uint PageReadWrite = 0x04;
    public const uint SectionCommit = 0x08000000;
    public const uint MemoryReserve = 0x2000;
    public const uint MemoryReplacePlaceholder = 0x4000;
    public const uint MemoryRelease = 0x8000;
    public const uint MemoryReservePlaceholder = 0x40000;
    public const uint MemoryPreservePlaceholder = 0x2;

    [LibraryImport("kernelbase", EntryPoint = "VirtualAlloc2", SetLastError = true)]
    public static partial nint Allocate(
        nint process, nint baseAddress, nuint size, uint allocationType, uint protection, ExtendedParameter* parameters, uint parameterCount);

    [LibraryImport("kernel32", EntryPoint = "VirtualFree", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Free(nint address, nuint size, uint freeType);

    [LibraryImport("kernel32", EntryPoint = "CreateFileMappingW", SetLastError = true)]
    public static partial nint CreateSection(nint file, nint securityAttributes, uint protection, uint sizeHigh, uint sizeLow, nint name);

    [LibraryImport("kernelbase", EntryPoint = "MapViewOfFile3", SetLastError = true)]
    public static partial nint MapView(
        nint section, nint process, nint baseAddress, ulong offset, nuint size, uint allocationType, uint protection,
        ExtendedParameter* parameters, uint parameterCount);

    [LibraryImport("kernelbase", EntryPoint = "UnmapViewOfFile2", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool UnmapView(nint process, nint baseAddress, uint flags);

    [LibraryImport("kernel32", EntryPoint = "CloseHandle", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    public static partial bool Close(nint handle);

    /// <summary><c>MEM_EXTENDED_PARAMETER</c>: a type in the low 8 bits of 64, then a value or a pointer.</summary>
    public struct ExtendedParameter
    {
        public const ulong TypeAddressRequirements = 1;

        public ulong Type;
        public nint Pointer;
    }

    /// <summary><c>MEM_ADDRESS_REQUIREMENTS</c>; 0 asks for nothing.</summary>
    public struct AddressRequirements
    {
        public nint LowestStartingAddress;
        public nint HighestEndingAddress;
        public nuint Alignment;
    }
}
