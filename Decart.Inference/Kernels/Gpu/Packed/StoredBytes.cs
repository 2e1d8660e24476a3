using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Stored numbers, whose addresses are multiples of nothing.</summary>
internal static class StoredBytes
{
    /// <summary>Two bytes, the first one lowest.</summary>
    public static uint LoadPair(long address) => Global.LoadByte(address) | (Global.LoadByte(address + 1) << 8);

    /// <summary>Four bytes, the first one lowest.</summary>
    public static uint LoadWord(long address) => LoadPair(address) | (LoadPair(address + 2) << 16);

    /// <summary>One of the nibbles of a block of 32: the low ones are the first 16, the high ones the others.</summary>
    public static uint LoadNibble(long nibbles, int element)
    {
        uint two = Global.LoadByte(nibbles + (element & 15));
        return element < 16 ? two & 15 : two >> 4;
    }

    /// <summary>One of 256 codes of two bits: each 32 bytes have 128, the first 32 in their lowest bits.</summary>
    public static uint LoadTwoBits(long codes, int element) => (Global.LoadByte(codes + (element >> 7 << 5) + (element & 31)) >> ((element >> 5) & 3) * 2) & 3;

    /// <summary>Bit <paramref name="element"/> of four bytes, in the place of a fifth bit.</summary>
    public static uint LoadFifth(long bits, int element) => ((Global.LoadByte(bits + (element >> 3)) >> (element & 7)) & 1) << 4;
}
