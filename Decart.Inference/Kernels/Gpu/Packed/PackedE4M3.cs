using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Scale d times 2^120, numbers of 8 bits: see <see cref="E4M3Format{TGroup}"/>.</summary>
internal readonly struct PackedE4M3<TGroup> : IPackedFormat
    where TGroup : IGroup
{
    private const float Factor = 1 / E4M3Header.Factor;

    public static TensorType Type => TGroup.E4M3;

    public static int BlockColumns => TGroup.Length;

    public static int BlockBytes => sizeof(float) + TGroup.Length;

    public static int Bits => 8;

    public static PackedCodeKind Codes => PackedCodeKind.E4M3;

    public static UInt4 Table => default;

    public static int Bias => 0;

    public static bool HasHalfScales => true;

    public static int GroupColumns => TGroup.Length;

    public static bool HasOffsets => false;

    public static bool HasZeros => false;

    public static int ScaleBytes => PackedGroups<TGroup>.Bytes;

    public static uint LoadCode(long block, int element) => Global.LoadByte(block + sizeof(float) + element);

    public static float StoredScale(long block) => Interop.IntAsFloat(StoredBytes.LoadWord(block)) * Factor;

    public static int StoredZero(long block) => Bias;

    public static void StoreScales(long block, int run, long scales, int row, int half) => PackedGroups<TGroup>.Store(block, scales, row, half);

    public static PackedScales LoadScales(int scales, int row, int half) => PackedScales.Create(Interop.IntAsFloat(PackedGroups<TGroup>.Load(scales, row, half)) * Factor, 0, Bias);
}
