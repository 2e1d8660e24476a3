using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>The devices that whole sessions are tested on by one source: the processor always, a GPU where there is one.</summary>
internal static class SessionDevices
{
    public static IEnumerable<TestFixtureData> Fixtures =>
        [new TestFixtureData("cpu"), .. CudaAttribute.Choose(new TestFixtureData("cuda:0")), .. CudaAttribute.Choose(new TestFixtureData("cuda:0,1"))];

    /// <summary>The device of a name; ignores the test, with the reason, where this machine does not have it.</summary>
    public static Device Get(string name)
    {
        Device device = Device.Parse(name);
        if (device.Kind == DeviceKind.Cuda) ParallelDevices.SkipWithout(device.Indices.DefaultIfEmpty(device.Index).Max() + 1);
        return device;
    }
}
