using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Which rows of a batch a kernel takes.</summary>
internal enum GpuAttentionRows
{
    All,

    /// <summary>Those of chunks of one token.</summary>
    Singles,

    /// <summary>The others.</summary>
    Chunks,
}

/// <summary>How attention of one shape is divided; shapes that are divided alike share their work list.</summary>
/// <param name="RowsPerTile">The most rows of a tile.</param>
/// <param name="SplitTokens">Keys of a split; 0: as <see cref="GpuSplits"/> has them.</param>
/// <param name="Window">See <see cref="AttentionShape"/>.</param>
/// <param name="HeadGroups">Units of work that each item makes, one for each group of heads that is computed together.</param>
/// <param name="WarpsPerUnit">Warps that work on a unit.</param>
/// <param name="SlotBytes">What all heads of one row leave for a split.</param>
/// <param name="Rows">Which rows are in the list.</param>
internal readonly record struct GpuAttentionPlan(
    int RowsPerTile, int SplitTokens, int Window, int HeadGroups, int WarpsPerUnit, long SlotBytes, GpuAttentionRows Rows = GpuAttentionRows.All)
{
    /// <summary>Elements of a head, where its keys and values are copied as boxes; see <see cref="GpuStep.ChunksHaveMaps"/>.</summary>
    public int HeadDim { get; init; }

    /// <summary>Splits that queries see, the first of them at a position.</summary>
    public int Splits(int position, int rows)
    {
        int first = FirstKey(position), last = position + rows - 1;
        return SplitTokens == 0 ? GpuSplits.Of(last) - GpuSplits.Of(first) + 1 : (last / SplitTokens) - (first / SplitTokens) + 1;
    }

    /// <summary>Keys that the query at a position sees.</summary>
    public int Keys(int position) => position + 1 - FirstKey(position);

    /// <summary>Runs of as many keys, at absolute positions, that the query at a position sees.</summary>
    public int Runs(int position, int keys) => (position / keys) - (FirstKey(position) / keys) + 1;

    /// <summary>Whether a chunk's rows are in the list.</summary>
    public bool Takes(BatchChunk chunk) => Rows switch
    {
        GpuAttentionRows.Singles => chunk.Length == 1,
        GpuAttentionRows.Chunks => chunk.Length > 1,
        _ => true,
    };

    /// <summary>The first key that the query at a position sees.</summary>
    public int FirstKey(int position) => Window != 0 && position >= Window ? position - Window + 1 : 0;
}

/// <summary>
/// Consecutive rows of one chunk that attention computes together. Its items are its splits, or one for all of them. In a list of chunks each tile is one
/// item, and those come first whose rows see most keys.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GpuTile
{
    public int FirstRow, Rows;

    /// <summary>The number of its first item among the items of the list, in a list of chunks the position of its first row; and how many items it has.</summary>
    public int FirstItem, Items;
}

/// <summary>
/// A single token, in a list of such: all that attention must know of it, so that one look tells where its keys are. Its items are runs of keys at
/// absolute positions.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GpuSingle
{
    public const int Bytes = 64;

    /// <summary>See <see cref="GpuRow"/>.</summary>
    public long Kv, PageTable, TokenBytes;

    /// <inheritdoc cref="Kv"/>
    public int PageShift, Position;

    /// <summary>Its row in the batch.</summary>
    public int Row;

    /// <summary>The slot for partial results of split 0, whether the row sees it or not.</summary>
    public int FirstSlot;

    /// <summary>The first key that it sees.</summary>
    public int FirstKey;

    /// <summary>Keys of a run, and the number of its first run among those from position 0 on.</summary>
    public int Keys, FirstRun;

    /// <summary>The number of its first item among the items of the list, in a list of chunks the position of its first row; and how many items it has.</summary>
    public int FirstItem, Items;

    /// <summary>Makes it as long as <see cref="Bytes"/>.</summary>
    private readonly int _unused;
}

/// <summary>What a work list begins with.</summary>
internal struct GpuAttentionHeader
{
    public int Tiles, Items;
}

/// <summary>
/// The work list of a plan in the device's memory: its <see cref="GpuAttentionHeader"/>, eight bytes unused, then the tiles, or the single tokens. Kernels of any
/// grid take items in turn until there are no more.
/// </summary>
internal static class GpuAttentionWork
{
    public const int HeaderBytes = 16, TileBytes = 16;

    public static int Items(long work) => Global.LoadInt(work + sizeof(int));

    public static GpuAttentionHeader LoadHeader(long work)
    {
        UInt4 words = Global.Load16(work);
        return new GpuAttentionHeader { Tiles = (int)words.A, Items = (int)words.B };
    }

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
        UInt4 words = Global.Load16(work + HeaderBytes + ((long)tile * TileBytes));
        return new GpuTile { FirstRow = (int)words.A, Rows = (int)words.B, FirstItem = (int)words.C, Items = (int)words.D };
    }

    public static GpuSingle LoadSingle(long work, int index)
    {
        long address = SingleAddress(work, index);
        return new GpuSingle
        {
            Kv = Global.LoadLong(address),
            PageTable = Global.LoadLong(address + 8),
            TokenBytes = Global.LoadLong(address + 16),
            PageShift = Global.LoadInt(address + 24),
            Position = Global.LoadInt(address + 28),
            Row = Global.LoadInt(address + 32),
            FirstSlot = Global.LoadInt(address + 36),
            FirstKey = Global.LoadInt(address + 40),
            Keys = Global.LoadInt(address + 44),
            FirstRun = Global.LoadInt(address + 48),
            FirstItem = Global.LoadInt(address + 52),
            Items = Global.LoadInt(address + 56),
        };
    }

    /// <summary>The first item of a single token.</summary>
    public static int LoadFirstItem(long work, int index) => Global.LoadInt(SingleAddress(work, index) + 52);

    private static long SingleAddress(long work, int index) => work + HeaderBytes + ((long)index * GpuSingle.Bytes);
}
