using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Scale d and zero z in four bytes, nibbles q: weight d * (q - z); see <see cref="Int4Format{TGroup}"/>.</summary>
internal readonly struct PackedInt4<TGroup> : IPackedFormat
    where TGroup : IGroup
{
    public static TensorType Type => TGroup.Int4;

    public static int BlockColumns => TGroup.Length;

    public static int BlockBytes => sizeof(float) + (TGroup.Length / 2);

    public static int Bits => 4;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 0;

    public static bool HasHalfScales => true;

    public static int GroupColumns => TGroup.Length;

    public static bool HasOffsets => false;

    public static bool HasZeros => true;

    public static int ScaleBytes => PackedGroups<TGroup>.Bytes;

    public static uint LoadCode(long block, int element) => StoredBytes.LoadNibble(block + sizeof(float) + (element / 32 * 16), element % 32);

    public static float StoredScale(long block) => Interop.IntAsFloat(StoredBytes.LoadWord(block) & ~Int4Header.ZeroBits);

    public static int StoredZero(long block) => (int)(StoredBytes.LoadWord(block) & Int4Header.ZeroBits);

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedGroups<TGroup>.Store(block, scales, row, half);

    /// <remarks>The zero was of 4 bits, or one more than such.</remarks>
    public static PackedScales LoadScales(int scales, int row, int half)
    {
        uint header = PackedGroups<TGroup>.Load(scales, row, half);
        return PackedScales.Create(Interop.IntAsFloat(header & ~Int4Header.ZeroBits), 0, (int)(header & Int4Header.ZeroBits));
    }
}
