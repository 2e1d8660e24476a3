using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>Scales that are stored for each run by itself, the two of a row together.</summary>
internal static class PackedHalves
{
    /// <summary>Bytes for a piece, with one half a run and with two.</summary>
    public const int OneBytes = PackedRuns.Count * sizeof(ushort), TwoBytes = 2 * OneBytes;

    /// <summary>Stores one half a run, which is stored at the beginning of the block.</summary>
    public static void StoreOne(long block, long scales, int row, int half) => Global.Store2(scales + (PackedRuns.Place(row, half) * sizeof(ushort)), StoredBytes.LoadPair(block));

    /// <summary>A run's half as the scale; nothing is added.</summary>
    public static PackedScales LoadOne(int scales, int row, int half, int zero)
    {
        uint pair = (uint)Shared.LoadInt(scales + (row * sizeof(uint)));
        return PackedScales.Create(half == 0 ? Halves.Low(pair) : Halves.High(pair), 0, zero);
    }

    /// <summary>Stores two halves a run, scale and offset, which are stored at the beginning of the block.</summary>
    public static void StoreTwo(long block, long scales, int row, int half)
    {
        long pair = scales + (PackedRuns.Place(row, half) * sizeof(uint));
        Global.Store2(pair, StoredBytes.LoadPair(block));
        Global.Store2(pair + sizeof(ushort), StoredBytes.LoadPair(block + sizeof(ushort)));
    }

    /// <summary>A run's halves as scale and offset.</summary>
    public static PackedScales LoadTwo(int scales, int row, int half, int zero)
    {
        uint pair = (uint)Shared.LoadInt(scales + (PackedRuns.Place(row, half) * sizeof(uint)));
        return PackedScales.Create(Halves.Low(pair), Halves.High(pair), zero);
    }
}
