using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>A device's memory whose calls, and those of the virtual memory it creates, fail as planned.</summary>
internal sealed class FaultyDeviceMemory(IDeviceMemory inner, FaultPlan plan) : IDeviceMemory
{
    public long PageGranularity => inner.PageGranularity;

    public AddressRanges Ranges => inner.Ranges;

    public double KvShare => inner.KvShare;

    public long MeasureFree() => inner.MeasureFree();

    public IVirtualMemory CreateVirtualMemory(long pageBytes, int maxPages)
    {
        plan.Enter(MemoryOperation.CreateVirtualMemory);
        return new FaultyVirtualMemory(inner.CreateVirtualMemory(pageBytes, maxPages), plan);
    }

    public nint Allocate(long bytes)
    {
        plan.Enter(MemoryOperation.Allocate);
        return inner.Allocate(bytes);
    }

    public void Free(nint address) => inner.Free(address);

    public void Copy(nint destination, nint source, long bytes) => inner.Copy(destination, source, bytes);
}
