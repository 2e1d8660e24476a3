using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models;

/// <summary>The kernels that models are tested on.</summary>
internal static class Devices
{
    public const string Reference = "reference", Cpu = "cpu", CpuFp8 = "cpu, keys and values of 8 bits";

    public static IEnumerable<string> Names => [Reference, Cpu];

    public static IBackend Create(string name) => name switch
    {
        Reference => new ReferenceBackend(),
        Cpu => new CpuBackend(threads: 2),
        CpuFp8 => new CpuBackend(threads: 2, keysAndValues: KvCacheType.Fp8),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };
}
