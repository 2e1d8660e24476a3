using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>How attention of one shape is divided; shapes that are divided alike share their work list.</summary>
/// <param name="RowsPerTile">The most rows of a tile.</param>
/// <param name="SplitTokens">Keys of a split.</param>
/// <param name="Window">See <see cref="AttentionShape"/>.</param>
/// <param name="HeadGroups">Units of work that each item makes, one for each group of heads that is computed together.</param>
/// <param name="WarpsPerUnit">Warps that work on a unit.</param>
/// <param name="SlotBytes">What all heads of one row leave for a split.</param>
internal readonly record struct GpuAttentionPlan(int RowsPerTile, int SplitTokens, int Window, int HeadGroups, int WarpsPerUnit, long SlotBytes)
{
    /// <summary>Splits that queries see, the first of them at a position.</summary>
    public int Splits(int position, int rows)
    {
        int first = Window != 0 && position >= Window ? position - Window + 1 : 0;
        return ((position + rows - 1) / SplitTokens) - (first / SplitTokens) + 1;
    }
}

/// <summary>Consecutive rows of one chunk that attention computes together. Its items are its splits, or one for all of them.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GpuTile
{
    public int FirstRow, Rows;

    /// <summary>The number of its first item among the items of the list, and how many it has.</summary>
    public int FirstItem, Items;
}

/// <summary>
/// The work list of a plan in the device's memory: the number of tiles and of items (int), eight bytes unused, then the tiles. Kernels of any grid take
/// items in turn until there are no more.
/// </summary>
internal static class GpuAttentionWork
{
    public const int HeaderBytes = 16, TileBytes = 16;

    public static int Items(long work) => Global.LoadInt(work + sizeof(int));

    /// <summary>The tile that an item belongs to: the last that begins at or before it.</summary>
    public static int TileOf(long work, int item)
    {
        int tile = 0, end = Global.LoadInt(work);
        while (end - tile > 1)
        {
            int middle = (tile + end) / 2;
            if (Global.LoadInt(work + HeaderBytes + ((long)middle * TileBytes) + 8) <= item) tile = middle;
            else end = middle;
        }
        return tile;
    }

    public static GpuTile Load(long work, int tile)
    {
        long address = work + HeaderBytes + ((long)tile * TileBytes);
        return new GpuTile
        {
            FirstRow = Global.LoadInt(address),
            Rows = Global.LoadInt(address + 4),
            FirstItem = Global.LoadInt(address + 8),
            Items = Global.LoadInt(address + 12),
        };
    }
}
