using System.Runtime.Intrinsics;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>How many float32 lanes the kernels work on at once.</summary>
internal enum SimdWidth
{
    Scalar,
    Bits256,
    Bits512,
}

internal static class SimdWidths
{
    /// <summary>The widest that this machine has registers for.</summary>
    public static SimdWidth Widest =>
        Vector512.IsHardwareAccelerated ? SimdWidth.Bits512 : Vector128.IsHardwareAccelerated ? SimdWidth.Bits256 : SimdWidth.Scalar;
}
