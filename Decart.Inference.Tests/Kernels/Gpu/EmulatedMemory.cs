using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>
/// Native memory whose content is not a number, in whatever type it is read, until it is written. Disposal checks that all was freed.
/// </summary>
internal sealed unsafe class EmulatedMemory : IDeviceMemory, IDisposable
{
    private const int Alignment = 256;

    private readonly ConcurrentDictionary<nint, long> _allocations = [];

    /// <summary>Whether nothing may be allocated or freed.</summary>
    public bool IsClosed { get; set; }

    public long PageGranularity => 0;

    public AddressRanges Ranges => AddressRanges.Unlimited;

    public double KvShare => 0.5;

    public long MeasureFree() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    public IVirtualMemory CreateVirtualMemory(long pageBytes, int maxPages) => throw new NotSupportedException();

    public nint Allocate(long bytes)
    {
        Assert.That(IsClosed, Is.False, "no memory is taken while launches are recorded");
        nint address = (nint)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        NativeMemory.Fill((void*)address, (nuint)bytes, 0xFF);
        _allocations[address] = bytes;
        return address;
    }

    public void Free(nint address)
    {
        Assert.That(IsClosed, Is.False, "no memory is freed while launches are recorded");
        Assert.That(_allocations.TryRemove(address, out _), "only what was allocated is freed, once");
        NativeMemory.AlignedFree((void*)address);
    }

    public void Copy(nint destination, nint source, long bytes) => Buffer.MemoryCopy((void*)source, (void*)destination, bytes, bytes);

    public void Dispose() => Assert.That(_allocations, Is.Empty, "everything was freed");
}
