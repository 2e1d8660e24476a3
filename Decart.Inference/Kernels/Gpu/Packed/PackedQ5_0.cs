using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>f16 d, the fifth bits, nibbles: weight d * (q - 16).</summary>
internal readonly struct PackedQ5_0 : IPackedFormat
{
    public static TensorType Type => TensorType.Q5_0;

    public static int BlockColumns => 32;

    public static int BlockBytes => 22;

    public static int Bits => 5;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static int Bias => 16;

    public static bool HasHalfScales => true;

    public static int ScaleBytes => PackedHalves.OneBytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + 6, element) | StoredBytes.LoadFifth(block + 2, element);

    public static void StoreScales(long block, int run, long scales, int lane) => PackedHalves.StoreOne(block, scales, lane);

    public static PackedScales LoadScales(int scales, int lane) => PackedHalves.LoadOne(scales, lane, Bias);
}
