using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Scale d and zero z in four bytes, nibbles q: weight d * (q - z); see <see cref="Int4Format{TGroup}"/>.</summary>
internal readonly struct PackedInt4<TGroup> : IPackedFormat
    where TGroup : IGroup
{
    private const uint ZeroBits = 0x1FFF;

    public static TensorType Type => TGroup.Int4;

    public static int BlockColumns => TGroup.Length;

    public static int BlockBytes => sizeof(float) + (TGroup.Length / 2);

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static int Bias => 0;

    public static bool HasHalfScales => true;

    public static int ScaleBytes => PackedGroups<TGroup>.Bytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + sizeof(float) + (element / 32 * 16), element % 32);

    public static void StoreScales(long block, int run, long scales, int lane) => PackedGroups<TGroup>.Store(block, scales, lane);

    /// <remarks>The zero was of 4 bits, or one more than such.</remarks>
    public static PackedScales LoadScales(int scales, int lane)
    {
        uint header = PackedGroups<TGroup>.Load(scales, lane);
        return PackedScales.Create(Interop.IntAsFloat(header & ~ZeroBits), 0, (int)(header & ZeroBits));
    }
}
