using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

/// <summary>A page map that at times has no memory to note what it is asked for.</summary>
internal sealed class FaultyPageMap(IPageMap inner, Func<bool> fails) : IPageMap
{
    /// <summary>The message of the errors.</summary>
    public const string Injected = "injected: no memory";

    public PageGeometry Geometry => inner.Geometry;

    public int Pages => inner.Pages;

    public int Slots => inner.Slots;

    public long LastTicket => inner.LastTicket;

    public KvView View(int slot) => inner.View(slot);

    public AddressRangeShare Ranges => inner.Ranges;

    public long Map(int slot, int index, int page, int freedRanges = 0) => OrFail(() => inner.Map(slot, index, page, freedRanges));

    public long Copy(int slot, int index, int source, long bytes) => OrFail(() => inner.Copy(slot, index, source, bytes));

    public long Unmap(int slot, int index, int count, int freedRanges = 0) => inner.Unmap(slot, index, count, freedRanges);

    public void Finish() => inner.Finish();

    public void Start() => inner.Start();

    public void Wait(int slot, long since, long ticket) => inner.Wait(slot, since, ticket);

    public void Dispose() => inner.Dispose();

    private long OrFail(Func<long> call) => fails() ? throw new InsufficientMemoryException(Injected) : call();
}
