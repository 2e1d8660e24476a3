using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Scale d, zero z (a whole number) and bytes q: weight d * (q - z); see <see cref="Int8Format{TGroup}"/>. The zero was of 8 bits, or one more than such.</summary>
internal readonly struct PackedInt8<TGroup> : IPackedFormat
    where TGroup : IGroup
{
    private const int HeaderBytes = 2 * sizeof(float);

    public static TensorType Type => TGroup.Int8;

    public static int BlockColumns => TGroup.Length;

    public static int BlockBytes => HeaderBytes + TGroup.Length;

    public static int Bits => 8;

    public static PackedCodeKind Codes => PackedCodeKind.Integer;

    public static UInt4 Table => default;

    public static int Bias => 0;

    public static bool HasHalfScales => true;

    public static int GroupColumns => TGroup.Length;

    public static bool HasOffsets => false;

    public static bool HasZeros => true;

    public static int ScaleBytes => PackedGroups<TGroup>.Count * HeaderBytes;

    public static uint LoadCode(long block, int element) => Global.LoadByte(block + HeaderBytes + element);

    public static float StoredScale(long block) => Interop.IntAsFloat(StoredBytes.LoadWord(block));

    public static int StoredZero(long block) => (int)Interop.IntAsFloat(StoredBytes.LoadWord(block + sizeof(float)));

    public static void StoreScales(long block, int run, long scales, int row, int half)
    {
        long header = scales + (PackedGroups<TGroup>.Place(row, half) * HeaderBytes);
        Global.StoreInt(header, (int)StoredBytes.LoadWord(block));
        Global.StoreInt(header + sizeof(float), (int)StoredBytes.LoadWord(block + sizeof(float)));
    }

    public static PackedScales LoadScales(int scales, int row, int half)
    {
        int header = scales + (PackedGroups<TGroup>.Place(row, half) * HeaderBytes);
        return PackedScales.Create(Shared.LoadFloat(header), 0, (int)Shared.LoadFloat(header + sizeof(float)));
    }
}
