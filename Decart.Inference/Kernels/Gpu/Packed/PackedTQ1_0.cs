using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Five digits q of 0, 1, 2 in a byte, f16 d: weight d * (q - 1); see <see cref="TQ1_0Format"/>.</summary>
internal readonly struct PackedTQ1_0 : IPackedFormat
{
    public static TensorType Type => TensorType.TQ1_0;

    public static int BlockColumns => 256;

    public static int BlockBytes => 54;

    public static int Bits => 2;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 1;

    public static bool HasHalfScales => true;

    public static int GroupColumns => 32;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedHalves.OneBytes;

    public static uint LoadCode(long block, int element)
    {
        // 32 bytes have digits of 160 weights, 16 those of 80 more, and 4 of the last 16.
        if (element < 160) return Digit(Global.LoadByte(block + (element & 31)), element >> 5);
        if (element < 240) return Digit(Global.LoadByte(block + 32 + (element & 15)), (element - 160) >> 4);
        return Digit(Global.LoadByte(block + 48 + (element & 3)), (element - 240) >> 2);
    }

    public static float StoredScale(long block) => Halves.Low(StoredBytes.LoadPair(block + 52));

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedHalves.StoreOne(block + 52, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedHalves.LoadOne(scales, row, half, Bias);

    /// <summary>One digit of a byte: times 3^digit modulo 256 it is a fraction whose first digit is wanted.</summary>
    private static uint Digit(uint digits, int digit)
    {
        uint power = digit == 0 ? 1u : digit == 1 ? 3u : digit == 2 ? 9u : digit == 3 ? 27u : 81u;
        return (((digits * power) & 0xFF) * 3) >> 8;
    }
}
