using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>f16 d, bytes q with a sign, kept plus 128: weight d * q.</summary>
internal readonly struct PackedQ8_0 : IPackedFormat
{
    public static TensorType Type => TensorType.Q8_0;

    public static int BlockColumns => 32;

    public static int BlockBytes => 34;

    public static int Bits => 8;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 128;

    public static bool HasHalfScales => true;

    public static int GroupColumns => 32;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedHalves.OneBytes;

    public static uint LoadCode(long block, int element) => Global.LoadByte(block + 2 + element) ^ 0x80;

    public static float StoredScale(long block) => Halves.Low(StoredBytes.LoadPair(block));

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedHalves.StoreOne(block, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedHalves.LoadOne(scales, row, half, Bias);
}
