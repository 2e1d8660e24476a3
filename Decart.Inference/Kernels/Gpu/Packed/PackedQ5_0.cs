using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>f16 d, the fifth bits, nibbles: weight d * (q - 16).</summary>
internal readonly struct PackedQ5_0 : IPackedFormat
{
    public static TensorType Type => TensorType.Q5_0;

    public static int BlockColumns => 32;

    public static int BlockBytes => 22;

    public static int Bits => 5;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 16;

    public static bool HasHalfScales => true;

    public static int GroupColumns => 32;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedHalves.OneBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + 6, element) | StoredBytes.LoadFifth(block + 2, element);

    public static float StoredScale(long block) => Halves.Low(StoredBytes.LoadPair(block));

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedHalves.StoreOne(block, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedHalves.LoadOne(scales, row, half, Bias);
}
