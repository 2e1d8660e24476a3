using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>As <see cref="PackedQ4_K"/>, with 32 bytes of fifth bits before the nibbles: bit s of byte i is that of weight i of the s-th 32.</summary>
internal readonly struct PackedQ5_K : IPackedFormat
{
    public static TensorType Type => TensorType.Q5_K;

    public static int BlockColumns => 256;

    public static int BlockBytes => 176;

    public static int Bits => 5;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 0;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 32;

    public static bool HasOffsets => true;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedSuper.MinimumsBytes;

    public static uint LoadCode(long block, int element) =>
        PackedQ4_K.LoadNibble(block + 48, element) | (((Global.LoadByte(block + 16 + (element & 31)) >> (element >> 5)) & 1) << 4);

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedSuper.StoreMinimums(block, run, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedSuper.LoadMinimums(scales, row, half, Bias);
}
