using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.Gpu.Compilation;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>The devices that GPU kernels are tested on by one source: an emulated one always, a GPU where there is one.</summary>
internal static class GpuDevices
{
    public const string Emulated = "emulated";

    private const string Cuda = "cuda";

    /// <summary>Fixture arguments: a device.</summary>
    public static IEnumerable<TestFixtureData> Fixtures => [new TestFixtureData(Emulated), .. CudaAttribute.Choose(new TestFixtureData(Cuda))];

    /// <summary>Opens a device; ignores the test, with the reason, where this machine does not have it.</summary>
    /// <param name="name">Which.</param>
    /// <param name="multiprocessors">How many the device pretends to have; null for as many as it likes.</param>
    /// <param name="tensorCores">Whether kernels for tensor cores are used, which is slow where those are emulated.</param>
    /// <param name="hopper">Whether an emulated device has the kernels of Hopper GPUs.</param>
    /// <param name="architecture">Kernels for later architectures are not used on a GPU.</param>
    /// <param name="packs">Whether quantised weights stay in the bits of their file.</param>
    public static IGpuDevice Create(string name, int? multiprocessors = null, bool tensorCores = false, bool hopper = false, int architecture = 90, bool packs = false) =>
        name == Emulated
            ? new EmulatedDevice(tensorCores, multiprocessors ?? 1) { IsHopper = hopper, PacksWeights = packs }
            : CreateCuda(multiprocessors, tensorCores, architecture, packs);

    /// <summary>Opens the first GPU; ignores the test, with the reason, where there is none.</summary>
    public static CudaDevice CreateCuda(int? multiprocessors = null, bool tensorCores = true, int architecture = 90, bool packs = false)
    {
        try
        {
            return multiprocessors is { } number
                ? new CudaDevice(index: 0, KernelCache.Default) { HasTensorCores = tensorCores, LatestArchitecture = architecture, PacksWeights = packs, Multiprocessors = number }
                : new CudaDevice(index: 0, KernelCache.Default) { HasTensorCores = tensorCores, LatestArchitecture = architecture, PacksWeights = packs };
        }
        catch (CudaUnavailableException exception)
        {
            Assert.Ignore(exception.Message);
            throw;
        }
    }
}
