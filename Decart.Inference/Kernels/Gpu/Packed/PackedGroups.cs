using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>The four bytes that blocks of quantised folders begin with: one for each row of a piece where blocks have 64 weights, one for each run where they have 32.</summary>
internal static class PackedGroups<TGroup>
    where TGroup : IGroup
{
    /// <summary>Groups of a piece.</summary>
    public static int Count => CoreTiles.TileRows * CoreTiles.PieceColumns / TGroup.Length;

    /// <summary>Bytes for a piece.</summary>
    public static int Bytes => Count * sizeof(uint);

    public static void Store(long block, long scales, int row, int half) => Global.StoreInt(scales + (Place(row, half) * sizeof(uint)), (int)StoredBytes.LoadWord(block));

    public static uint Load(int scales, int row, int half) => (uint)Shared.LoadInt(scales + (Place(row, half) * sizeof(uint)));

    /// <summary>A group's place among those of a piece.</summary>
    public static int Place(int row, int half) => TGroup.Length == CoreTiles.PieceColumns ? row : PackedRuns.Place(row, half);
}
