using Decart.Inference.Memory;

namespace Decart.Inference.Tests.Memory;

public sealed class FaultyMemoryTests
{
    private readonly HostMemory _host = new();
    private FaultPlan _plan = null!;
    private IVirtualMemory _memory = null!;

    private long Page => _host.PageGranularity;

    [SetUp]
    public void CreateMemory()
    {
        if (_host.PageGranularity == 0) Assert.Ignore("This system has no virtual memory.");
        _plan = new FaultPlan();
        _memory = new FaultyDeviceMemory(_host, _plan).CreateVirtualMemory(Page, 8);
    }

    [TearDown]
    public void DisposeMemory() => _memory.Dispose();

    [Test]
    public void Without_faults_every_call_goes_through()
    {
        nint range = _memory.Reserve(2 * Page), page = _memory.CreatePage();
        _memory.Map(range, page);
        _memory.Unmap(range, Page);
        _memory.ReleasePage(page);
        _memory.Free(range, 2 * Page);
        foreach (MemoryOperation operation in Enum.GetValues<MemoryOperation>().Except([MemoryOperation.Allocate]))
            Assert.That(_plan.Calls(operation), Is.EqualTo(1), $"{operation}");
        Assert.That(_plan.Failures, Is.Zero);
    }

    [Test]
    public void The_planned_call_fails_alone_and_does_nothing()
    {
        nint range = _memory.Reserve(4 * Page), page = _memory.CreatePage();
        _memory.Map(range, page);
        _plan.Fail(MemoryOperation.Map, 2);
        _memory.Map(range + (nint)Page, page);
        nint third = range + (nint)(2 * Page);
        Assert.That(() => _memory.Map(third, page), Throws.TypeOf<VirtualMemoryException>().With.Message.Contains("Map number 3"));
        Assert.That(() => _memory.Unmap(third, Page), Throws.InvalidOperationException, "nothing was mapped");
        _memory.Map(third, page);
        Assert.That((_plan.Calls(MemoryOperation.Map), _plan.Failures), Is.EqualTo((4, 1)));
    }

    [Test]
    public void Each_operation_can_fail()
    {
        var device = new FaultyDeviceMemory(_host, _plan);
        foreach (MemoryOperation operation in Enum.GetValues<MemoryOperation>()) _plan.Fail(operation);
        Assert.Multiple(() =>
        {
            Assert.That(() => device.CreateVirtualMemory(Page, 1), Throws.TypeOf<VirtualMemoryException>());
            Assert.That(() => _memory.Reserve(Page), Throws.TypeOf<VirtualMemoryException>());
            Assert.That(() => _memory.Free(0, Page), Throws.TypeOf<VirtualMemoryException>());
            Assert.That(_memory.CreatePage, Throws.TypeOf<VirtualMemoryException>());
            Assert.That(() => _memory.ReleasePage(1), Throws.TypeOf<VirtualMemoryException>());
            Assert.That(() => _memory.Map(0, 1), Throws.TypeOf<VirtualMemoryException>());
            Assert.That(() => _memory.Unmap(0, Page), Throws.TypeOf<VirtualMemoryException>());
            Assert.That(() => device.Allocate(1), Throws.InstanceOf<OutOfMemoryException>());
        });
        Assert.That(_plan.Failures, Is.EqualTo(8));
        device.Free(device.Allocate(1));
    }

    [Test]
    public void Calls_fail_while_a_condition_holds()
    {
        _plan.FailWhen(MemoryOperation.CreatePage, call => call % 2 == 0);
        Assert.That(_memory.CreatePage, Throws.Nothing);
        Assert.That(_memory.CreatePage, Throws.TypeOf<VirtualMemoryException>());
        Assert.That(_memory.CreatePage, Throws.Nothing);
        Assert.That(_memory.CreatePage, Throws.TypeOf<VirtualMemoryException>());
        _plan.Clear();
        Assert.That(_memory.CreatePage, Throws.Nothing);
        Assert.That(_memory.CreatePage, Throws.Nothing);
    }
}
