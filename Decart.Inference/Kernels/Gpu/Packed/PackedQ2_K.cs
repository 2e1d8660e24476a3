using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>A scale s and a minimum m of 4 bits for each 16 weights, two bits q, f16 d and dmin: weight d * s * q - dmin * m.</summary>
internal readonly struct PackedQ2_K : IPackedFormat
{
    public static TensorType Type => TensorType.Q2_K;

    public static int BlockColumns => 256;

    public static int BlockBytes => 84;

    public static int Bits => 2;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static int Bias => 0;

    public static bool HasHalfScales => false;

    public static int ScaleBytes => PackedSuper.MinimumsBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadTwoBits(block + 16, element);

    public static void StoreScales(long block, int run, long scales, int lane) => PackedSuper.StoreTwoMinimums(block, run, scales, lane);

    public static PackedScales LoadScales(int scales, int lane) => PackedSuper.LoadTwoMinimums(scales, lane, Bias);
}
