using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>f16 d, nibbles q that are places in a table: weight d * table[q].</summary>
internal readonly struct PackedIQ4_NL : IPackedFormat
{
    public static TensorType Type => TensorType.IQ4_NL;

    public static int BlockColumns => 32;

    public static int BlockBytes => 18;

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.Table;

    public static UInt4 Table => PackedTables.NonLinear;

    public static int Bias => 128;

    public static bool HasHalfScales => true;

    public static int GroupColumns => 32;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedHalves.OneBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + 2, element);

    public static float StoredScale(long block) => Halves.Low(StoredBytes.LoadPair(block));

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedHalves.StoreOne(block, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedHalves.LoadOne(scales, row, half, Bias);
}
