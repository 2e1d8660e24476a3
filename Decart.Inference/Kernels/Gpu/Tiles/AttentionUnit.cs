using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>What a warp does at a time for single tokens: some splits of up to eight query heads of one key/value head of one row.</summary>
internal struct AttentionUnit
{
    /// <summary>Query heads of a unit.</summary>
    public const int Heads = 8;

    private const int Lanes = 32;

    public GpuRow Row;
    public int RowNumber, Tile, Items, HeadUnit, KvHead, FirstHead, HeadCount;

    /// <summary>The first key that the row sees.</summary>
    public int FirstKey;

    /// <summary>The first split that the row sees, and those of the unit.</summary>
    public int RowSplit, Split, EndSplit;

    /// <summary>The first tile of keys, and where keys end.</summary>
    public int Begin, Stop;

    /// <summary>Units for each item of the work list.</summary>
    public static int PerItem(int heads, int kvHeads) => kvHeads * (((heads / kvHeads) + Heads - 1) / Heads);

    /// <summary>Reads a unit; the lanes of a warp do it together. Neighbouring units are those of neighbouring heads.</summary>
    public static AttentionUnit Load(AttentionArguments a, GpuAttentionHeader header, int unit)
    {
        int perItem = PerItem(a.Heads, a.KvHeads), item = unit / perItem, group = a.Heads / a.KvHeads, headTiles = perItem / a.KvHeads;
        int tileNumber = FindTile(a.Work, header, item);
        AttentionUnit result = new() { HeadUnit = unit % perItem, Tile = tileNumber };
        result.KvHead = result.HeadUnit / headTiles;
        int head = result.HeadUnit % headTiles * Heads;
        result.FirstHead = (result.KvHead * group) + head;
        result.HeadCount = group - head < Heads ? group - head : Heads;
        GpuTile tile = GpuAttentionWork.Load(a.Work, result.Tile);
        result.RowNumber = tile.FirstRow;
        result.Items = tile.Items;
        result.Row = GpuRow.Load(a.Rows, tile.FirstRow);
        int position = result.Row.Position;
        result.FirstKey = a.Window != 0 && position >= a.Window ? position - a.Window + 1 : 0;
        result.RowSplit = GpuSplits.Of(result.FirstKey);
        // Items are runs of as many tokens at absolute positions; the first and the last may be shorter.
        int begin = tile.Items > 1 ? ((result.FirstKey / tile.Rows) + item - tile.FirstItem) * tile.Rows : 0, stop = tile.Items > 1 ? begin + tile.Rows : position + 1;
        result.Stop = stop < position + 1 ? stop : position + 1;
        result.Split = begin > result.FirstKey ? GpuSplits.Of(begin) : result.RowSplit;
        result.EndSplit = GpuSplits.Of(result.Stop - 1) + 1;
        result.Begin = begin > result.FirstKey ? begin : result.FirstKey / AttentionScores.TileKeys * AttentionScores.TileKeys;
        return result;
    }

    /// <summary>Bytes from the start of a token to the keys of the unit's head.</summary>
    public static long KeyOffset(AttentionArguments a, AttentionUnit unit) => (((long)a.Layer * 2 * a.KvHeads) + unit.KvHead) * a.HeadDim * sizeof(ushort);

    /// <summary>The tile that an item belongs to: the last that begins at or before it. The lanes look at as many tiles at once.</summary>
    private static int FindTile(long work, GpuAttentionHeader header, int item)
    {
        if (header.Items == header.Tiles) return item;
        int first = 0, count = header.Tiles;
        while (count > 1)
        {
            int step = (count + Lanes - 1) >> 5, tile = first + (Warp.LaneIdx * step), end = first + count;
            bool before = tile < end && GpuAttentionWork.Load(work, tile < end ? tile : first).FirstItem <= item;
            first += ((int)Reduce.WarpSum(before ? 1L : 0L) - 1) * step;
            count = first + step < end ? step : end - first;
        }
        return first;
    }
}
