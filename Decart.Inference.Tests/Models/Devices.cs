using Decart.Inference.Kernels;
using Decart.Inference.Tests.Kernels;

namespace Decart.Inference.Tests.Models;

/// <summary>The kernels that models are tested on.</summary>
internal static class Devices
{
    public static IEnumerable<string> Names => ["reference"];

    public static IKernels Create(string name) => name switch
    {
        "reference" => new ReferenceKernels(),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };
}
