using System.Runtime.InteropServices;

namespace Decart.Inference.Memory;

/// <summary>
/// The memory of the processor, with the virtual memory of the operating system it runs on: Linux, macOS or Windows (10 version 1803 or later).
/// </summary>
/// <param name="ranges">The account of address ranges; the process's if left out.</param>
internal sealed unsafe class HostMemory(AddressRanges? ranges = null) : IDeviceMemory
{
    /// <summary>A cache line, and the widest vector.</summary>
    private const int Alignment = 64;

    /// <summary>Windows maps at multiples of this whatever its pages' size.</summary>
    private const long WindowsGranularity = 64 << 10;

    /// <summary>A page of the system; 64 KiB on Windows; 0 in a 32-bit process and on other systems.</summary>
    public long PageGranularity =>
        !Environment.Is64BitProcess ? 0
        : OperatingSystem.IsLinux() || OperatingSystem.IsMacOS() ? Environment.SystemPageSize
        : OperatingSystem.IsWindowsVersionAtLeast(10, 0, 17134) ? WindowsGranularity
        : 0;

    public AddressRanges Ranges { get; } = ranges ?? AddressRanges.OfProcess;

    /// <summary>Half: the rest of the process and the machine live here too.</summary>
    public double KvShare => 0.5;

    /// <summary>On Linux what the system and the control groups of the process leave; elsewhere what the runtime reports.</summary>
    public long MeasureFree()
    {
        if (OperatingSystem.IsLinux()) return new LinuxFreeMemory("/").Measure();
        GC.Collect(0); // the report is of the last collection
        GCMemoryInfo info = GC.GetGCMemoryInfo(GCKind.Any);
        return Math.Max(0, info.TotalAvailableMemoryBytes - info.MemoryLoadBytes);
    }

    public IVirtualMemory CreateVirtualMemory(long pageBytes, int maxPages) =>
        PageGranularity == 0 ? throw new NotSupportedException($"There is no virtual memory for {RuntimeInformation.RuntimeIdentifier}.")
        : OperatingSystem.IsLinux() ? new LinuxVirtualMemory(pageBytes, maxPages)
        : OperatingSystem.IsMacOS() ? new MacOSVirtualMemory(pageBytes, maxPages)
        : new WindowsVirtualMemory(pageBytes, maxPages, WindowsGranularity);

    public nint Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        return (nint)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
    }

    public void Free(nint address) => NativeMemory.AlignedFree((void*)address);

    public void Copy(nint destination, nint source, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        NativeMemory.Copy((void*)source, (void*)destination, (nuint)bytes);
    }
}
