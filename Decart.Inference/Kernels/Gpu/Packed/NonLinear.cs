using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>The 16 unevenly spaced numbers of IQ4_NL and IQ4_XS, plus 128, as bytes: what instructions that choose bytes look up.</summary>
internal static class NonLinear
{
    /// <summary>-127, -104, -83, -65, ..., 89, 113, four in a register.</summary>
    private const uint First = 0x3F2D1801, Second = 0x766A5D4F, Third = 0xA6998D81, Fourth = 0xF1D9C5B5;

    /// <summary>The bytes of four places, of which the lowest 16 bits have four bits each.</summary>
    public static uint LookUp(uint places)
    {
        uint inHalf = places & 0x7777, halves = 0x3210 | ((places & 0x8888) >> 1);
        return Integers.ChooseBytes(Integers.ChooseBytes(First, Second, inHalf), Integers.ChooseBytes(Third, Fourth, inHalf), halves);
    }
}
