using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>A scale s and a minimum m of 4 bits for each 16 weights, two bits q, f16 d and dmin: weight d * s * q - dmin * m.</summary>
internal readonly struct PackedQ2_K : IPackedFormat
{
    public static TensorType Type => TensorType.Q2_K;

    public static int BlockColumns => 256;

    public static int BlockBytes => 84;

    public static int Bits => 2;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 0;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 16;

    public static bool HasOffsets => true;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedSuper.MinimumsBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadTwoBits(block + 16, element);

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedSuper.StoreTwoMinimums(block, run, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedSuper.LoadTwoMinimums(scales, row, half, Bias);
}
