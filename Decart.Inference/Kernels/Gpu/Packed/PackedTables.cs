using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Tables of 16 numbers, plus 128, as bytes: what instructions that choose bytes look up.</summary>
internal static class PackedTables
{
    /// <summary>IQ4_NL and IQ4_XS: -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89 and 113.</summary>
    public static UInt4 NonLinear => new() { A = 0x3F2D1801, B = 0x766A5D4F, C = 0xA6998D81, D = 0xF1D9C5B5 };

    /// <summary>Twice the numbers of MXFP4: 0, 1, 2, 3, 4, 6, 8 and 12, then the same below zero.</summary>
    public static UInt4 TwiceE2M1 => new() { A = 0x83828180, B = 0x8C888684, C = 0x7D7E7F80, D = 0x74787A7C };

    /// <summary>IQ1: -9, -7, -1, 1, 7 and 9.</summary>
    public static UInt4 Shifted => new() { A = 0x817F7977, B = 0x80808987, C = 0x80808080, D = 0x80808080 };

    /// <summary>IQ2: -43, -25, -8, 8, 25 and 43.</summary>
    public static UInt4 Ternary => new() { A = 0x88786755, B = 0x8080AB99, C = 0x80808080, D = 0x80808080 };

    /// <summary>IQ3_XXS: 4, 12, 20, 28, 36, 44, 52 and 62 below and above zero, in order.</summary>
    public static UInt4 Octal => new() { A = 0x5C544C42, B = 0x7C746C64, C = 0x9C948C84, D = 0xBEB4ACA4 };

    /// <summary>IQ3_S: the odd numbers from -15 to 15.</summary>
    public static UInt4 Odd => new() { A = 0x77757371, B = 0x7F7D7B79, C = 0x87858381, D = 0x8F8D8B89 };

    /// <summary>The bytes of four places, of which the lowest 16 bits have four bits each.</summary>
    public static uint LookUp(UInt4 table, uint places)
    {
        uint inHalf = places & 0x7777, halves = 0x3210 | ((places & 0x8888) >> 1);
        return Integers.ChooseBytes(Integers.ChooseBytes(table.A, table.B, inHalf), Integers.ChooseBytes(table.C, table.D, inHalf), halves);
    }
}
