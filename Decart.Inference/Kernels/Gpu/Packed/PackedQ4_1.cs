using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>f16 d and m, nibbles q: weight d * q + m.</summary>
internal readonly struct PackedQ4_1 : IPackedFormat
{
    public static TensorType Type => TensorType.Q4_1;

    public static int BlockColumns => 32;

    public static int BlockBytes => 20;

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 0;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 32;

    public static bool HasOffsets => true;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedHalves.TwoBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + 4, element);

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedHalves.StoreTwo(block, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedHalves.LoadTwo(scales, row, half, Bias);
}
