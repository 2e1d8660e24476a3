using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Tests.Memory;

/// <summary>The devices whose memory is tested by one source: the host and two ranks of it always, a GPU where there is one.</summary>
internal sealed class MemoryDevice : IDisposable
{
    public const string Host = "host", Ranks = "ranks", Cuda = "cuda";

    private readonly CudaContext? _context;

    private MemoryDevice(IDeviceMemory memory, CudaContext? context)
    {
        Memory = memory;
        _context = context;
    }

    /// <summary>Fixture arguments: a device, and how many of its smallest pages make one page.</summary>
    public static IEnumerable<TestFixtureData> Fixtures => [.. Fixture(Host, 1), .. Fixture(Host, 16), .. Fixture(Ranks, 1), .. Fixture(Cuda, 1), .. Fixture(Cuda, 2)];

    /// <summary>Fixture arguments: a device.</summary>
    public static IEnumerable<TestFixtureData> Names => [.. Fixture(Host), .. Fixture(Cuda)];

    public IDeviceMemory Memory { get; }

    /// <summary>Opens a device; ignores the test, with the reason, where this machine does not have it.</summary>
    public static MemoryDevice Open(string name)
    {
        if (name == Host) return new MemoryDevice(new HostMemory(), null);
        if (name == Ranks) return new MemoryDevice(new ParallelMemory([new HostMemory(), new HostMemory()]), null);
        CudaContext? context = null;
        try
        {
            context = CudaContext.Open(0);
        }
        catch (CudaUnavailableException exception)
        {
            Assert.Ignore(exception.Message);
        }
        return new MemoryDevice(new CudaMemory(context!), context);
    }

    public void Dispose() => _context?.Dispose();

    private static IEnumerable<TestFixtureData> Fixture(string name, params object[] arguments)
    {
        TestFixtureData fixture = new([name, .. arguments]);
        return name == Cuda ? CudaAttribute.Choose(fixture) : [fixture];
    }
}
