using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// Nibbles, upper two bits, a scale s (a byte with a sign) for each 16 weights, f16 d: weight d * s * (q - 32). Each 128 weights take 64 bytes of nibbles, low ones
/// first, and 32 bytes of upper bits, two for each 32 weights.
/// </summary>
internal readonly struct PackedQ6_K : IPackedFormat
{
    public static TensorType Type => TensorType.Q6_K;

    public static int BlockColumns => 256;

    public static int BlockBytes => 210;

    public static int Bits => 6;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 32;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 16;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedSuper.ScalesBytes;

    public static uint LoadCode(long block, int element)
    {
        int half = element >> 7, inHalf = element & 127;
        uint two = Global.LoadByte(block + (half * 64) + (inHalf & 63)), upper = Global.LoadByte(block + 128 + (half * 32) + (inHalf & 31));
        return (inHalf < 64 ? two & 15 : two >> 4) | (((upper >> (inHalf >> 5 << 1)) & 3) << 4);
    }

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedSuper.StoreScales(block + 208, StoredBytes.LoadPair(block + 192 + (run * 2)), scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedSuper.LoadScales(scales, row, half, Bias);
}
