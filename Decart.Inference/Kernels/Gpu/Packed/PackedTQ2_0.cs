using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Two bits q, f16 d: weight d * (q - 1); see <see cref="TQ2_0Format"/>.</summary>
internal readonly struct PackedTQ2_0 : IPackedFormat
{
    public static TensorType Type => TensorType.TQ2_0;

    public static int BlockColumns => 256;

    public static int BlockBytes => 66;

    public static int Bits => 2;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 1;

    public static bool HasHalfScales => true;

    public static int GroupColumns => 32;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedHalves.OneBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadTwoBits(block, element);

    public static float StoredScale(long block) => Halves.Low(StoredBytes.LoadPair(block + 64));

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedHalves.StoreOne(block + 64, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedHalves.LoadOne(scales, row, half, Bias);
}
