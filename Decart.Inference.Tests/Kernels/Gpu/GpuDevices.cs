using Decart.Inference.Kernels.Gpu;

namespace Decart.Inference.Tests.Kernels.Gpu;

/// <summary>The devices that GPU kernels are tested on.</summary>
internal static class GpuDevices
{
    public const string Emulated = "emulated";

    public static IEnumerable<string> Names => [Emulated];

    /// <param name="name">Which.</param>
    /// <param name="multiprocessors">How many an emulated device has.</param>
    public static IGpuDevice Create(string name, int multiprocessors = 1) => name switch
    {
        Emulated => new EmulatedDevice(multiprocessors: multiprocessors),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };
}
