using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Scales that are stored for each run by itself.</summary>
internal static class PackedHalves
{
    /// <summary>Bytes for a piece, with one half a run and with two.</summary>
    public const int OneBytes = 32 * sizeof(ushort), TwoBytes = 2 * OneBytes;

    /// <summary>Stores one half a run, which is stored at the beginning of the block.</summary>
    public static void StoreOne(long block, long scales, int lane) => Global.Store2(scales + (lane * sizeof(ushort)), StoredBytes.LoadPair(block));

    /// <summary>A lane's half as the scale; nothing is added.</summary>
    public static PackedScales LoadOne(int scales, int lane, int zero) => PackedScales.Create(Load(scales, lane), 0, zero);

    /// <summary>Stores two halves a run, scale and offset, which are stored at the beginning of the block.</summary>
    public static void StoreTwo(long block, long scales, int lane)
    {
        Global.Store2(scales + (lane * sizeof(uint)), StoredBytes.LoadPair(block));
        Global.Store2(scales + (lane * sizeof(uint)) + sizeof(ushort), StoredBytes.LoadPair(block + sizeof(ushort)));
    }

    /// <summary>A lane's halves as scale and offset.</summary>
    public static PackedScales LoadTwo(int scales, int lane, int zero)
    {
        uint pair = (uint)Shared.LoadInt(scales + (lane * sizeof(uint)));
        return PackedScales.Create(Halves.Low(pair), Halves.High(pair), zero);
    }

    private static float Load(int scales, int lane)
    {
        uint pair = (uint)Shared.LoadInt(scales + (lane >> 1 << 2));
        return (lane & 1) == 0 ? Halves.Low(pair) : Halves.High(pair);
    }
}
