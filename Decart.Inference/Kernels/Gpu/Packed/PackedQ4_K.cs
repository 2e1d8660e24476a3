using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// f16 d and dmin, scales s and minimums m of 6 bits for each 32 weights, nibbles q: weight d * s * q - dmin * m. Each 64 weights take 32 bytes: the low nibbles hold
/// the first 32, the high nibbles the second.
/// </summary>
internal readonly struct PackedQ4_K : IPackedFormat
{
    public static TensorType Type => TensorType.Q4_K;

    public static int BlockColumns => 256;

    public static int BlockBytes => 144;

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 0;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 32;

    public static bool HasOffsets => true;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedSuper.MinimumsBytes;

    public static uint LoadCode(long block, int element) => LoadNibble(block + 16, element);

    /// <summary>One of 256 nibbles.</summary>
    public static uint LoadNibble(long nibbles, int element)
    {
        uint two = Global.LoadByte(nibbles + (element >> 6 << 5) + (element & 31));
        return (element & 32) == 0 ? two & 15 : two >> 4;
    }

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedSuper.StoreMinimums(block, run, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedSuper.LoadMinimums(scales, row, half, Bias);
}
