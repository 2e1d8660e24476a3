using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>An exponent e, nibbles q that are places in a table: weight 2^(e - 128) * table[q]; see <see cref="MXFP4Format"/>.</summary>
internal readonly struct PackedMXFP4 : IPackedFormat
{
    public static TensorType Type => TensorType.MXFP4;

    public static int BlockColumns => 32;

    public static int BlockBytes => 17;

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.Table;

    public static UInt4 Table => PackedTables.TwiceE2M1;

    public static int Bias => 128;

    public static bool HasHalfScales => true;

    public static int GroupColumns => 32;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedRuns.Count;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + 1, element);

    public static float StoredScale(long block) => HalfOfExponent(Global.LoadByte(block));

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => Global.StoreByte(scales + PackedRuns.Place(row, half), Global.LoadByte(block));

    public static PackedScales LoadScales(int scales, int row, int half)
    {
        int place = PackedRuns.Place(row, half);
        return PackedScales.Create(HalfOfExponent((uint)Shared.LoadInt(scales + (place & -4)) >> ((place & 3) * 8)), 0, Bias);
    }

    /// <summary>2^(e - 128) of the exponent in the lowest byte; the smallest two are subnormal numbers.</summary>
    private static float HalfOfExponent(uint exponent)
    {
        exponent &= 0xFF;
        return Interop.IntAsFloat(exponent < 2 ? 0x00200000u << (int)exponent : (exponent - 1) << 23);
    }
}
