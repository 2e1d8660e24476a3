using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// f16 d, scales s of 6 bits for each 32 weights (upper two bits in two bytes, low nibbles in four), nibbles q that are places in a table: weight d * (s - 32) * table[q].
/// </summary>
internal readonly struct PackedIQ4_XS : IPackedFormat
{
    public static TensorType Type => TensorType.IQ4_XS;

    public static int BlockColumns => 256;

    public static int BlockBytes => 136;

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.Table;

    public static UInt4 Table => PackedTables.NonLinear;

    public static int Bias => 128;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 32;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedSuper.ScalesBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + 8 + (element >> 5 << 4), element & 31);

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half)
    {
        uint low = Global.LoadByte(block + 4 + (run >> 1)) >> ((run & 1) * 4), upper = StoredBytes.LoadPair(block + 2) >> (run * 2);
        uint scale = (((low & 15) | ((upper & 3) << 4)) - 32) & 0xFF;
        PackedSuper.StoreScales(block, scale | (scale << 8), scales, row, half);
    }

    public static PackedScales LoadScales(int scales, int row, int half) => PackedSuper.LoadScales(scales, row, half, Bias);
}
