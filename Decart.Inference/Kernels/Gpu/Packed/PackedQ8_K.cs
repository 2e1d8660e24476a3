using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Float32 d, bytes q with a sign, kept plus 128: weight d * q; see <see cref="Q8_KFormat"/>.</summary>
internal readonly struct PackedQ8_K : IPackedFormat
{
    public static TensorType Type => TensorType.Q8_K;

    public static int BlockColumns => 256;

    public static int BlockBytes => 292;

    public static int Bits => 8;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 128;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 32;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedRuns.Count * sizeof(float);

    public static uint LoadCode(long block, int element) => Global.LoadByte(block + sizeof(float) + element) ^ 0x80;

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => Global.StoreInt(scales + (PackedRuns.Place(row, half) * sizeof(float)), (int)StoredBytes.LoadWord(block));

    public static PackedScales LoadScales(int scales, int row, int half) => PackedScales.Create(Shared.LoadFloat(scales + (PackedRuns.Place(row, half) * sizeof(float))), 0, Bias);
}
