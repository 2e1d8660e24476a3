using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>Virtual memory whose calls fail as planned, before they have done anything. Disposal never fails and ends the inner one.</summary>
internal sealed class FaultyVirtualMemory(IVirtualMemory inner, FaultPlan plan) : IVirtualMemory
{
    public long PageBytes => inner.PageBytes;

    public nint Reserve(long bytes)
    {
        plan.Enter(MemoryOperation.Reserve);
        return inner.Reserve(bytes);
    }

    public void Free(nint address, long bytes)
    {
        plan.Enter(MemoryOperation.Free);
        inner.Free(address, bytes);
    }

    public nint CreatePage()
    {
        plan.Enter(MemoryOperation.CreatePage);
        return inner.CreatePage();
    }

    public void ReleasePage(nint page)
    {
        plan.Enter(MemoryOperation.ReleasePage);
        inner.ReleasePage(page);
    }

    public void Map(nint address, nint page)
    {
        plan.Enter(MemoryOperation.Map);
        inner.Map(address, page);
    }

    public void Unmap(nint address, long bytes)
    {
        plan.Enter(MemoryOperation.Unmap);
        inner.Unmap(address, bytes);
    }

    public void Dispose() => inner.Dispose();
}
