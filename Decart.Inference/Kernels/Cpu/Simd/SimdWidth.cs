using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>The width of the vectors that kernels compute with.</summary>
internal enum SimdWidth
{
    /// <summary>One lane, for machines without vectors that .NET knows.</summary>
    Scalar,
    /// <summary>4 lanes: ARM64, and x64 without AVX2.</summary>
    Vector128,
    /// <summary>8 lanes.</summary>
    Vector256,
    /// <summary>16 lanes.</summary>
    Vector512,
}

internal static class SimdWidths
{
    /// <summary>The widest that this machine computes with.</summary>
    public static SimdWidth Machine =>
        Vector512.IsHardwareAccelerated ? SimdWidth.Vector512
        : Vector256.IsHardwareAccelerated ? SimdWidth.Vector256
        : Vector128.IsHardwareAccelerated ? SimdWidth.Vector128
        : SimdWidth.Scalar;

    /// <summary>Bits of a vector of float32.</summary>
    public static int Bits(this SimdWidth width) => width switch
    {
        SimdWidth.Vector512 => 512,
        SimdWidth.Vector256 => 256,
        SimdWidth.Vector128 => 128,
        _ => 32,
    };
}
