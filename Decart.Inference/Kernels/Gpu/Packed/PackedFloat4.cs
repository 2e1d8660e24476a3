using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Scale d, nibbles q that are places in a table of float32: weight d * table[q]; see <see cref="Float4Format{TTable}"/>.</summary>
internal readonly unsafe struct PackedFloat4<TTable> : IPackedFormat
    where TTable : IFloat4
{
    // Fields, which the compiler of kernels takes as constants.
    private static readonly float Entry0 = TTable.Table[0], Entry1 = TTable.Table[1], Entry2 = TTable.Table[2], Entry3 = TTable.Table[3];
    private static readonly float Entry4 = TTable.Table[4], Entry5 = TTable.Table[5], Entry6 = TTable.Table[6], Entry7 = TTable.Table[7];
    private static readonly float Entry8 = TTable.Table[8], Entry9 = TTable.Table[9], Entry10 = TTable.Table[10], Entry11 = TTable.Table[11];
    private static readonly float Entry12 = TTable.Table[12], Entry13 = TTable.Table[13], Entry14 = TTable.Table[14], Entry15 = TTable.Table[15];

    public static TensorType Type => TTable.Type;

    public static int BlockColumns => 64;

    public static int BlockBytes => sizeof(float) + 32;

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.FloatTable;

    public static UInt4 Table => default;

    public static int Bias => 0;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 64;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedGroups<Group64>.Bytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + sizeof(float) + (element / 32 * 16), element % 32);

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedGroups<Group64>.Store(block, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half)
    {
        PackedScales loaded = PackedScales.Create(Interop.IntAsFloat(PackedGroups<Group64>.Load(scales, row, half)), 0, Bias);
        loaded.Entry = Entry(Warp.LaneIdx);
        return loaded;
    }

    private static float Entry(int place) => (place & 8) == 0
        ? Choose(place, Choose(place, Entry0, Entry1, Entry2, Entry3), Choose(place, Entry4, Entry5, Entry6, Entry7))
        : Choose(place, Choose(place, Entry8, Entry9, Entry10, Entry11), Choose(place, Entry12, Entry13, Entry14, Entry15));

    private static float Choose(int place, float lower, float upper) => (place & 4) == 0 ? lower : upper;

    private static float Choose(int place, float first, float second, float third, float fourth)
    {
        float even = (place & 2) == 0 ? first : third, odd = (place & 2) == 0 ? second : fourth;
        return (place & 1) == 0 ? even : odd;
    }
}
