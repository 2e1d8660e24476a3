using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

[TestFixtureSource(typeof(GpuDevices), nameof(GpuDevices.Fixtures))]
internal sealed class GpuSelfTestTests(string device)
{
    [Test]
    public void A_device_that_works_passes()
    {
        using IGpuDevice gpu = GpuDevices.Create(device);
        Assert.That(() => GpuSelfTest.Run(gpu), Throws.Nothing);
    }
}
