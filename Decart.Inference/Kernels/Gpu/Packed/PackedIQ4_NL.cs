using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>f16 d, nibbles q that are places in a table: weight d * table[q].</summary>
internal readonly struct PackedIQ4_NL : IPackedFormat
{
    public static TensorType Type => TensorType.IQ4_NL;

    public static int BlockColumns => 32;

    public static int BlockBytes => 18;

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.NonLinear;

    public static int Bias => 128;

    public static bool HasHalfScales => true;

    public static int ScaleBytes => PackedHalves.OneBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + 2, element);

    public static void StoreScales(long block, int run, long scales, int lane) => PackedHalves.StoreOne(block, scales, lane);

    public static PackedScales LoadScales(int scales, int lane) => PackedHalves.LoadOne(scales, lane, Bias);
}
