using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// 32 bytes of third bits, those of 32 weights in each bit, two low bits, scales s of 6 bits for each 16 weights, f16 d: weight d * (s - 32) * (q - 4).
/// </summary>
internal readonly struct PackedQ3_K : IPackedFormat
{
    public static TensorType Type => TensorType.Q3_K;

    public static int BlockColumns => 256;

    public static int BlockBytes => 110;

    public static int Bits => 3;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 4;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 16;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedSuper.ScalesBytes;

    public static uint LoadCode(long block, int element) =>
        StoredBytes.LoadTwoBits(block + 32, element) | (((Global.LoadByte(block + (element & 31)) >> (element >> 5)) & 1) << 2);

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) =>
        PackedSuper.StoreScales(block + 108, LoadScale(block + 96, run * 2) | (LoadScale(block + 96, (run * 2) + 1) << 8), scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedSuper.LoadScales(scales, row, half, Bias);

    /// <summary>One of 16 scales as a byte with a sign: low nibbles in 8 bytes, the second eight in the high nibbles, then upper bits of four in a byte, the first four in the lowest.</summary>
    private static uint LoadScale(long scales, int index)
    {
        uint low = Global.LoadByte(scales + (index & 7)), upper = Global.LoadByte(scales + 8 + (index & 3));
        uint scale = (index < 8 ? low & 15 : low >> 4) | (((upper >> (index >> 2 << 1)) & 3) << 4);
        return (scale - 32) & 0xFF;
    }
}
