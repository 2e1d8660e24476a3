using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

internal sealed class KvMemoryPlanTests
{
    private static readonly KvLayout Layout = new(Layers: 4, KvHeads: 2, HeadDim: 64, ElementBytes: 4); // 4 KiB for a token

    [Test]
    public void By_default_what_the_sequences_can_use_at_most()
    {
        KvMemoryPlan plan = Plan(new Machine { Free = 1L << 40 }, new() { MaxConcurrentSequences = 8 }, contextLength: 1000);
        Assert.That((plan.Paging, plan.Geometry.PageBytes, plan.Pages), Is.EqualTo((PagingMode.Hardware, 65_536L, (8 * 63) + 1)), "63 pages hold 1,000 tokens; one is left to those that run");
        Assert.That(plan.Slots, Is.GreaterThan(8));
    }

    [Test]
    public void By_default_no_more_than_half_of_what_is_free() =>
        Assert.That(Plan(new Machine { Free = 1L << 20 }, new(), contextLength: 100_000).Pages, Is.EqualTo(8));

    [Test]
    public void What_is_asked_for_is_what_is_taken()
    {
        Assert.That(Plan(new Machine { Free = 1L << 40 }, new() { KvCacheBytes = 1 << 30 }, contextLength: 100).Pages, Is.EqualTo(1 << 14));
        KvMemoryPlan table = Plan(new Machine { Free = 1L << 40 }, new() { KvCacheBytes = 1 << 30, Paging = PagingMode.Table }, contextLength: 100);
        Assert.That((table.Paging, table.Geometry.PageBytes, table.Pages), Is.EqualTo((PagingMode.Table, 65_536L, 1 << 14)));
    }

    [Test]
    public void A_device_without_virtual_memory_has_tables_unless_hardware_is_asked_for()
    {
        Machine machine = new() { Free = 1L << 40, PageGranularity = 0 };
        Assert.That(Plan(machine, new(), contextLength: 100).Paging, Is.EqualTo(PagingMode.Table));
        Assert.That(() => Plan(machine, new() { Paging = PagingMode.Hardware }, 100), Throws.TypeOf<NotSupportedException>().With.Message.Contains("PagingMode.Table"));
    }

    [Test]
    public void Memory_that_is_not_there_is_refused_with_its_figures()
    {
        Machine machine = new() { Free = 1L << 30 };
        Assert.That(
            () => Plan(machine, new() { KvCacheBytes = (1L << 30) + 1 }, 100),
            Throws.TypeOf<InsufficientMemoryException>().With.Message.Contains("1073741825").And.Message.Contains("1073741824"));
        Assert.That(
            () => Plan(machine, new() { KvCacheBytes = 65_535 }, 100),
            Throws.TypeOf<InsufficientMemoryException>().With.Message.Contains("65536").And.Message.Contains("KvCacheBytes"));
        Assert.That(() => Plan(new Machine { Free = 100 }, new(), 100), Throws.TypeOf<InsufficientMemoryException>().With.Message.Contains("the free memory"));
    }

    [Test]
    public void Pages_are_no_more_than_half_the_address_ranges_that_can_be_taken()
    {
        KvMemoryPlan plan = Plan(new Machine { Free = 1L << 40, Ranges = new AddressRanges(57_337) }, new() { KvCacheBytes = 64L << 30 }, contextLength: 8192);
        Assert.That((plan.Pages, plan.Geometry.PageBytes), Is.EqualTo((32_768 / 2, 4L << 20)));
    }

    [Test]
    public void Ranges_are_as_many_as_addresses_allow_and_at_least_one_for_each_running_sequence()
    {
        KvLayout large = new(Layers: 128, KvHeads: 64, HeadDim: 128, ElementBytes: 4); // 8 MiB for a token
        KvMemoryPlan plan = Plan(new Machine { Free = 1L << 40 }, new() { KvCacheBytes = 64L << 30, MaxConcurrentSequences = 64 }, contextLength: 1 << 17, large);
        Assert.That(plan.Slots, Is.EqualTo(64), "of 1 TiB each");
    }

    private static KvMemoryPlan Plan(Machine machine, LlmSessionOptions options, int contextLength, KvLayout? layout = null) =>
        KvMemoryPlan.For(machine, layout ?? Layout, contextLength, options.MaxConcurrentSequences, options.KvCacheBytes, options.Paging);

    /// <summary>A device of which only the figures are asked.</summary>
    private sealed class Machine : IDeviceMemory
    {
        public long Free { get; init; }

        public long PageGranularity { get; init; } = 4096;

        public AddressRanges Ranges { get; init; } = AddressRanges.Unlimited;

        public double KvShare => 0.5;

        public long MeasureFree() => Free;

        public IVirtualMemory CreateVirtualMemory(long pageBytes, int maxPages) => throw new NotSupportedException();

        public nint Allocate(long bytes) => throw new NotSupportedException();

        void IDeviceMemory.Free(nint address) => throw new NotSupportedException();

        public void Copy(nint destination, nint source, long bytes) => throw new NotSupportedException();
    }
}
