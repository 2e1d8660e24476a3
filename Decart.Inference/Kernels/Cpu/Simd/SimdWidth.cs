using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>The width of the vectors that kernels compute with.</summary>
internal enum SimdWidth
{
    /// <summary>One lane, for machines without vectors that .NET knows.</summary>
    Scalar,
    /// <summary>8 lanes; where the machine has 128-bit vectors only, .NET makes two of one.</summary>
    Vector256,
    /// <summary>16 lanes.</summary>
    Vector512,
}

internal static class SimdWidths
{
    /// <summary>The widest that this machine computes with.</summary>
    public static SimdWidth Machine =>
        Vector512.IsHardwareAccelerated ? SimdWidth.Vector512
        : Vector128.IsHardwareAccelerated ? SimdWidth.Vector256
        : SimdWidth.Scalar;
}
