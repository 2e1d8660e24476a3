using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Tests.Session;

/// <summary>The devices that whole sessions are tested on by one source: the processor always, a GPU where there is one.</summary>
internal static class SessionDevices
{
    private const string Gpu = "cuda:0";

    public static IEnumerable<TestFixtureData> Fixtures => [new TestFixtureData("cpu"), .. CudaAttribute.Choose(new TestFixtureData(Gpu))];

    /// <summary>The device of a name; ignores the test, with the reason, where this machine does not have it.</summary>
    public static Device Get(string name)
    {
        if (name != Gpu) return Device.Parse(name);
        try
        {
            CudaContext.Open(0).Dispose();
        }
        catch (CudaUnavailableException exception)
        {
            Assert.Ignore(exception.Message);
        }
        return Device.Cuda(0);
    }
}
