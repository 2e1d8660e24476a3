using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>What a team of warps does at a time for single tokens: some splits of up to eight query heads of one key/value head of one row.</summary>
internal struct AttentionUnit
{
    /// <summary>Query heads of a unit.</summary>
    public const int Heads = 8;

    private const int Lanes = 32, HeadShift = 3;

    /// <summary>Where the keys and values are, and the position.</summary>
    public GpuRow Row;
    public int RowNumber, Tile, Items, HeadUnit, KvHead, FirstHead, HeadCount;

    /// <summary>The first key that the row sees.</summary>
    public int FirstKey;

    /// <summary>The slot for partial results of split 0, whether the row sees it or not.</summary>
    public int FirstSlot;

    /// <summary>The first split of the unit.</summary>
    public int Split;

    /// <summary>The first tile of keys, and where keys end.</summary>
    public int Begin, Stop;

    /// <summary>Units for each item of the work list.</summary>
    public static int PerItem(int heads, int kvHeads) => kvHeads * HeadTiles(heads / kvHeads);

    /// <summary>Reads a unit; the lanes of a warp do it together. Neighbouring units are those of neighbouring heads.</summary>
    public static AttentionUnit Load(AttentionArguments a, GpuAttentionHeader header, int unit)
    {
        int group = a.Heads / a.KvHeads, headTiles = HeadTiles(group), perItem = a.KvHeads * headTiles, item = unit / perItem;
        AttentionUnit result = new() { HeadUnit = unit - (item * perItem), Tile = FindTile(a.Work, header, item) };
        result.KvHead = headTiles == 1 ? result.HeadUnit : result.HeadUnit / headTiles;
        int head = (result.HeadUnit - (result.KvHead * headTiles)) << HeadShift;
        result.FirstHead = (result.KvHead * group) + head;
        result.HeadCount = group - head < Heads ? group - head : Heads;
        GpuSingle single = GpuAttentionWork.LoadSingle(a.Work, result.Tile);
        result.Row = new GpuRow { Kv = single.Kv, PageTable = single.PageTable, TokenBytes = single.TokenBytes, PageShift = single.PageShift, Position = single.Position };
        result.RowNumber = single.Row;
        result.Items = single.Items;
        result.FirstKey = single.FirstKey;
        result.FirstSlot = single.FirstSlot;
        // Items are runs of as many keys at absolute positions; the first and the last may be shorter.
        int run = (single.FirstRun + item - single.FirstItem) * single.Keys, stop = run + single.Keys, end = single.Position + 1;
        int first = run > single.FirstKey ? run : single.FirstKey;
        result.Stop = stop < end ? stop : end;
        result.Split = GpuSplits.Of(first);
        result.Begin = first & -AttentionScores.TileKeys;
        return result;
    }

    /// <summary>Bytes from the start of a token to the keys of the unit's head.</summary>
    public static long KeyOffset(AttentionArguments a, AttentionUnit unit, bool codes) => GpuKv.KeyOffset(a, unit.KvHead, codes);

    private static int HeadTiles(int group) => (group + Heads - 1) >> HeadShift;

    /// <summary>The tile that an item belongs to: the last that begins at or before it. The lanes look at as many tiles at once.</summary>
    private static int FindTile(long work, GpuAttentionHeader header, int item)
    {
        if (header.Items == header.Tiles) return item;
        int first = 0, count = header.Tiles;
        while (count > 1)
        {
            int step = (count + Lanes - 1) >> 5, tile = first + (Warp.LaneIdx * step), end = first + count;
            bool before = tile < end && GpuAttentionWork.LoadFirstItem(work, tile < end ? tile : first) <= item;
            first += ((int)Reduce.WarpSum(before ? 1L : 0L) - 1) * step;
            count = first + step < end ? step : end - first;
        }
        return first;
    }
}
