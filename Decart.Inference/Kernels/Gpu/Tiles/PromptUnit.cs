using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// What a group does at a time for chunks: the queries of two warp groups, 64 each, rows of one chunk times heads that share a key/value head, and all keys
/// that they see. Groups take units in turn, there and back, so that none gets the longer one of every round.
/// </summary>
internal struct PromptUnit
{
    /// <summary>Queries of a warp group.</summary>
    public const int Queries = 64;

    public const int WarpGroups = 2;

    public int FirstRow, Rows, Position, Group, KvHead, FirstHead;

    /// <summary>Rows of a tile of the work list when that many query heads share a key/value head.</summary>
    public static int RowsPerTile(int group) => WarpGroups * RowsPerWarpGroup(group);

    /// <summary>Units for each tile of the work list.</summary>
    public static int PerTile(int heads, int kvHeads) => kvHeads * HeadTiles(heads / kvHeads);

    public static int Count(AttentionArguments a) => Uniform(GpuAttentionWork.Items(a.Work) * PerTile(Pinned.Int(a.Heads), a.KvHeads));

    /// <summary>The number of the unit that the group takes in a round.</summary>
    public static int Number(int round) => (round * Grid.DimX) + ((round & 1) == 0 ? Grid.IdxX : Grid.DimX - 1 - Grid.IdxX);

    /// <summary>Reads a unit.</summary>
    public static PromptUnit Load(AttentionArguments a, int number)
    {
        PromptUnit unit = new() { Group = Uniform(Pinned.Int(a.Heads) / a.KvHeads) };
        int headTiles = HeadTiles(unit.Group), perTile = a.KvHeads * headTiles, tileNumber = Uniform(number / perTile), heads = number - (tileNumber * perTile);
        GpuTile tile = GpuAttentionWork.Load(a.Work, tileNumber);
        unit.FirstRow = Uniform(tile.FirstRow);
        unit.Rows = Uniform(tile.Rows);
        unit.Position = Uniform(tile.FirstItem);
        unit.KvHead = Uniform(heads / headTiles);
        unit.FirstHead = (heads - (unit.KvHead * headTiles)) * Queries;
        return unit;
    }

    /// <summary>The first key that a row sees.</summary>
    public static int First(AttentionArguments a, PromptUnit unit) => a.Window != 0 && unit.Position >= a.Window ? unit.Position - a.Window + 1 : 0;

    /// <summary>The first key of the first tile.</summary>
    public static int Begin(AttentionArguments a, PromptUnit unit) => First(a, unit) & -AttentionScores.TileKeys;

    public static int End(PromptUnit unit) => unit.Position + unit.Rows;

    /// <summary>The first of the unit's rows that a warp group takes.</summary>
    public static int FirstIndex(PromptUnit unit, int warpGroup) => warpGroup * RowsPerWarpGroup(unit.Group);

    /// <summary>Query m of a warp group: row by row, the heads side by side.</summary>
    public static PromptQuery Query(PromptUnit unit, int warpGroup, int m)
    {
        int perRow = unit.Group < Queries ? unit.Group : Queries, row = m / perRow, head = unit.FirstHead + m - (row * perRow);
        int index = FirstIndex(unit, warpGroup) + row;
        return new PromptQuery
        {
            Row = unit.FirstRow + index,
            Head = (unit.KvHead * unit.Group) + head,
            Position = unit.Position + index,
            Used = index < unit.Rows && row < RowsPerWarpGroup(unit.Group) && head < unit.Group ? 1 : 0,
        };
    }

    /// <summary>Which keys query m of a warp group sees.</summary>
    public static AttentionQuery Sight(AttentionArguments a, PromptUnit unit, int warpGroup, int m)
    {
        PromptQuery query = Query(unit, warpGroup, m);
        return AttentionQuery.Load(a, query.Position, query.Head, query.Used != 0);
    }

    /// <summary>What is the same for all lanes, so that the driver's compiler knows it: the scalar unit computes what follows, and keeps it.</summary>
    private static int Uniform(int value) => Warp.Shuffle(value, 0);

    private static int HeadTiles(int group) => (group + Queries - 1) / Queries;

    private static int RowsPerWarpGroup(int group) => group < Queries ? Queries / group : 1;
}

/// <summary>A query of a chunk; not used, there is none.</summary>
internal struct PromptQuery
{
    public int Row, Head, Position, Used;
}
