using Decart.Inference.Memory;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Memory;

internal sealed class HardwarePageMapTests
{
    private const int Pages = 4;

    [Test]
    public void A_wait_carries_out_what_came_before_its_ticket_in_order()
    {
        using HardwarePageMap map = Create(out RecordedVirtualMemory memory);
        map.Map(slot: 0, index: 0, page: 3);
        map.Unmap(slot: 0, index: 0, count: 1);
        map.Map(slot: 0, index: 0, page: 1);
        map.Wait(slot: 1, since: 0, ticket: map.Map(slot: 1, index: 2, page: 3));
        Assert.That(memory.Mapped, Is.EquivalentTo(new Dictionary<nint, nint> { [Address(map, 0, 0)] = memory.Pages[1], [Address(map, 1, 2)] = memory.Pages[3] }));
    }

    [Test]
    public void What_a_wait_has_left_over_is_carried_out_once_it_is_started()
    {
        using HardwarePageMap map = Create(out RecordedVirtualMemory memory);
        long first = map.Map(slot: 0, index: 0, page: 0);
        map.Map(slot: 0, index: 1, page: 1);
        map.Wait(slot: 0, since: 0, first);
        map.Start();
        Assert.That(SpinWait.SpinUntil(() => memory.Mapped.ContainsKey(Address(map, 0, 1)), 10_000), "nobody waited for it, but it was started");
    }

    private static HardwarePageMap Create(out RecordedVirtualMemory memory)
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("Hardware paging is needed; these tests take Linux's.");
        HostMemory host = new();
        KvLayout layout = new(Layers: 1, KvHeads: 1, HeadDim: Environment.SystemPageSize / 16 / (2 * sizeof(float)), sizeof(float));
        PageGeometry geometry = PageGeometry.ForHardware(layout.TokenBytes, host.PageGranularity);
        memory = new RecordedVirtualMemory(host.CreateVirtualMemory(geometry.PageBytes, Pages));
        return new HardwarePageMap(memory, host, layout, Pages, slots: 2, minSlots: 2, slotTokens: 64, NullLogger.Instance);
    }

    private static nint Address(HardwarePageMap map, int slot, int index) => map.View(slot).Address + (nint)(index * map.Geometry.PageBytes);
}
