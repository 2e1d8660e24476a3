using System.Collections.Concurrent;
using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>Virtual memory that remembers what is mapped where. Any thread may look.</summary>
internal sealed class RecordedVirtualMemory(IVirtualMemory inner) : IVirtualMemory
{
    /// <summary>The page at each address.</summary>
    public ConcurrentDictionary<nint, nint> Mapped { get; } = [];

    /// <summary>The pages in the order of their creation.</summary>
    public List<nint> Pages { get; } = [];

    public long PageBytes => inner.PageBytes;

    public nint Reserve(long bytes) => inner.Reserve(bytes);

    public void Free(nint address, long bytes) => inner.Free(address, bytes);

    public nint CreatePage()
    {
        Pages.Add(inner.CreatePage());
        return Pages[^1];
    }

    public void ReleasePage(nint page) => inner.ReleasePage(page);

    public void Map(nint address, nint page)
    {
        inner.Map(address, page);
        Assert.That(Mapped.TryAdd(address, page));
    }

    public void Unmap(nint address, long bytes)
    {
        inner.Unmap(address, bytes);
        for (nint i = 0; i < bytes; i += (nint)PageBytes) Assert.That(Mapped.TryRemove(address + i, out _));
    }

    public void Dispose() => inner.Dispose();
}
