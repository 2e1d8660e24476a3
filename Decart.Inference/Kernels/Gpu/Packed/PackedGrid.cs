using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>
/// Weights that are stored as points of a grid, which the host looks up: f16 d, 16 scales s, each for 16 weights, and 256 nibbles q, which are places in a table:
/// weight d * unit * s * table[q]. See <see cref="GridBlocks"/>.
/// </summary>
internal readonly struct PackedGrid<TGrid> : IPackedFormat
    where TGrid : IGrid
{
    public static TensorType Type => TGrid.Type;

    public static int BlockColumns => 256;

    public static int BlockBytes => GridBlocks.Bytes;

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.Table;

    public static UInt4 Table => TGrid.Table;

    public static int Bias => 128;

    public static bool HasHalfScales => false;

    public static int GroupColumns => 16;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedSuper.ScalesBytes;

    public static uint LoadCode(long block, int element) => (Global.LoadByte(block + GridBlocks.CodesOffset + (element >> 1)) >> ((element & 1) * 4)) & 15;

    public static float StoredScale(long block) => 0;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) =>
        PackedSuper.StoreScales(block, StoredBytes.LoadPair(block + sizeof(ushort) + (run * 2)), scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half)
    {
        PackedScales loaded = PackedSuper.LoadScales(scales, row, half, Bias);
        loaded.Scale *= TGrid.Unit;
        loaded.SecondScale *= TGrid.Unit;
        return loaded;
    }
}
