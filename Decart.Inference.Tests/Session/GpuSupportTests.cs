using Decart.Inference.Loading;
using Microsoft.Extensions.Logging.Abstractions;

namespace Decart.Inference.Tests.Session;

/// <summary>What a program does that was built without support for GPUs, on any machine.</summary>
[NonParallelizable]
public class GpuSupportTests
{
    private const string Switch = "Decart.Inference.Gpu";

    [SetUp]
    public void TurnOff() => AppContext.SetSwitch(Switch, false);

    [TearDown]
    public void TurnOn() => AppContext.SetSwitch(Switch, true);

    [Test]
    public void A_gpu_that_is_asked_for_is_refused_and_the_property_named() =>
        Assert.That(
            () => DeviceChoice.Open(new() { Device = Device.Cuda(0) }, NullLogger.Instance),
            Throws.InstanceOf<NotSupportedException>().With.Message.Contains("DecartInferenceGpu"));

    [Test]
    public void Auto_takes_the_processor()
    {
        DeviceChoice choice = DeviceChoice.Open(new() { Device = Device.Auto, Threads = 1 }, NullLogger.Instance);
        using var backend = choice.Backend;
        Assert.That(choice.Device, Is.EqualTo(Device.Cpu));
    }
}
