namespace Decart.Inference.Tests.Memory;

/// <summary>What every device's memory does besides virtual memory.</summary>
[TestFixtureSource(typeof(MemoryDevice), nameof(MemoryDevice.Names))]
public sealed unsafe class DeviceMemoryTests(string deviceName)
{
    private MemoryDevice _device = null!;

    [OneTimeSetUp]
    public void OpenDevice() => _device = MemoryDevice.Open(deviceName);

    [OneTimeTearDown]
    public void CloseDevice() => _device?.Dispose();

    [Test]
    public void Allocations_are_aligned_and_hold_what_is_copied_in()
    {
        byte[] written = new byte[100_007], read = new byte[written.Length];
        new Random(1).NextBytes(written);
        nint first = _device.Memory.Allocate(written.Length), second = _device.Memory.Allocate(written.Length);
        Assert.That((first % 64, second % 64), Is.EqualTo(((nint)0, (nint)0)));
        fixed (byte* from = written, to = read)
        {
            _device.Memory.Copy(first, (nint)from, written.Length);
            _device.Memory.Copy(second, first, written.Length);
            _device.Memory.Copy(second, second, 0);
            _device.Memory.Copy((nint)to, second, written.Length);
        }
        Assert.That(read, Is.EqualTo(written));
        _device.Memory.Free(first);
        _device.Memory.Free(second);
    }

    [Test]
    public void The_granularity_is_a_power_of_two_and_memory_is_free()
    {
        Assert.That(_device.Memory.PageGranularity, Is.EqualTo(0).Or.GreaterThanOrEqualTo(4096));
        Assert.That(_device.Memory.PageGranularity & (_device.Memory.PageGranularity - 1), Is.Zero);
        Assert.That(_device.Memory.MeasureFree(), Is.InRange(1L << 20, 1L << 50));
    }

    [Test]
    public void What_cannot_be_allocated_or_copied_is_refused()
    {
        Assert.Multiple(() =>
        {
            Assert.That(() => _device.Memory.Allocate(1L << 60), Throws.InstanceOf<OutOfMemoryException>());
            Assert.That(() => _device.Memory.Allocate(0), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => _device.Memory.Allocate(-1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => _device.Memory.Copy(0, 0, -1), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }
}
