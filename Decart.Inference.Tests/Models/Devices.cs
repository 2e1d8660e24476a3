using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models;

/// <summary>The kernels that models are tested on.</summary>
internal static class Devices
{
    public const string Reference = "reference", Cpu = "cpu";

    public static IEnumerable<string> Names => [Reference, Cpu];

    public static IBackend Create(string name) => name switch
    {
        Reference => new ReferenceBackend(),
        Cpu => new CpuBackend(threads: 2),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };
}
