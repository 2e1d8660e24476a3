using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// What a team of four warps copies next: the tiles of its units, 64 keys and their values. Each warp copies 16 keys, which it alone multiplies, and their
/// values. A row of a stage is a head of a token, its pieces of 16 bytes exchanged within 128 bytes so that <c>ldmatrix</c> meets no bank twice.
/// </summary>
internal struct AttentionCursor
{
    /// <summary>Keys of a tile that a warp copies.</summary>
    public const int WarpKeys = AttentionScores.TileKeys / AttentionColumns.TeamWarps;

    private const int PieceBytes = 16, PieceElements = 8, LineBytes = 128;

    private GpuAttentionHeader _header;
    private GpuRow _row;
    private long _keys;
    private int _rank, _unit, _units, _stride, _tile, _stop, _firstKey;

    /// <summary>Bytes of a tile.</summary>
    /// <param name="groups">Groups of 64 dimensions.</param>
    public static int StageBytes(int groups) => 2 * ValuesOffset(groups);

    /// <summary>Bytes from the keys of a tile to those of warp number <paramref name="rank"/>.</summary>
    public static int WarpOffset(int rank, int groups) => rank * WarpKeys * 128 * groups;

    /// <summary>Bytes from the keys of a tile to its values.</summary>
    /// <param name="groups">Groups of 64 dimensions.</param>
    public static int ValuesOffset(int groups) => AttentionScores.TileKeys * 128 * groups;

    /// <summary>The copies of warp number <paramref name="rank"/> of a team for the first of its units and those from it on by <paramref name="stride"/>.</summary>
    public static AttentionCursor Create(AttentionArguments a, GpuAttentionHeader header, AttentionUnit unit, int rank, int number, int units, int stride)
    {
        AttentionCursor cursor = new() { _header = header, _rank = rank, _unit = number, _units = units, _stride = stride };
        Take(a, ref cursor, unit);
        return cursor;
    }

    /// <summary>Whether what comes next was there before the step, and so before the kernel in front began; true where nothing comes.</summary>
    public static bool IsOld(AttentionCursor cursor) => cursor._unit >= cursor._units || cursor._tile + AttentionScores.TileKeys <= cursor._row.Position;

    /// <summary>Fetches what comes next into the second-level cache, as far as it was there before the step.</summary>
    public static void Prefetch(AttentionArguments a, AttentionCursor cursor, int groups)
    {
        int lane = Warp.LaneIdx, key = cursor._tile + (cursor._rank * WarpKeys) + (lane & (WarpKeys - 1));
        if (cursor._unit >= cursor._units || key < cursor._firstKey || key >= cursor._row.Position) return;
        long address = GpuRow.TokenAddress(cursor._row, key) + cursor._keys;
        if (lane >= WarpKeys) address += ValueBytes(a);
        Global.Prefetch(address);
        if (groups > 1) Global.Prefetch(address + LineBytes);
    }

    /// <summary>
    /// Starts the warp's copies of a tile, if there is one. Tokens that the row does not see are replaced by those that it does: they may not exist.
    /// </summary>
    /// <param name="a">The operation.</param>
    /// <param name="cursor">What to copy; moves on.</param>
    /// <param name="stage">Where in shared memory.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    public static void Fill(AttentionArguments a, ref AttentionCursor cursor, int stage, int groups)
    {
        if (cursor._unit >= cursor._units) return;
        int lane = Pinned.Int(Warp.LaneIdx), pieces = PieceElements * groups, piece = lane & (pieces - 1), place = lane >> (groups > 1 ? 4 : 3), step = 4 / groups;
        int key = cursor._tile + (cursor._rank * WarpKeys);
        stage += WarpOffset(cursor._rank, groups);
        if (piece * PieceElements < a.HeadDim)
        {
            long offset = cursor._keys + (piece * PieceBytes);
            if (cursor._row.PageTable == 0 && key >= cursor._firstKey && key + WarpKeys <= cursor._row.Position + 1)
                FillWhole(a, stage, GpuRow.TokenAddress(cursor._row, key + place) + offset, step * cursor._row.TokenBytes, piece, place, step, groups);
            else
                FillKnown(a, cursor, stage, key, offset, piece, place, step, groups);
        }
        Advance(a, ref cursor);
    }

    /// <summary>
    /// Copies keys and values that are all there, at one distance from each other, four rows of each at a time: how pieces are exchanged repeats with every
    /// eighth row.
    /// </summary>
    private static void FillWhole(AttentionArguments a, int stage, long keys, long sourceStep, int piece, int place, int step, int groups)
    {
        int rowBytes = 128 * groups, row = stage + (place * rowBytes), own = (piece ^ place) * PieceBytes, stageStep = step * rowBytes;
        int first = row + own, second = row + stageStep + (own ^ ((step & 7) * PieceBytes));
        int third = row + (2 * stageStep) + (own ^ ((2 * step & 7) * PieceBytes)), fourth = row + (3 * stageStep) + (own ^ ((3 * step & 7) * PieceBytes));
        int values = ValuesOffset(groups);
        long valueBytes = ValueBytes(a);
        for (int i = 0; i < WarpKeys * rowBytes; i += 4 * stageStep)
        {
            long next = keys + sourceStep, afterNext = next + sourceStep, last = afterNext + sourceStep;
            AsyncCopy.Start16(first + i, keys);
            AsyncCopy.Start16(second + i, next);
            AsyncCopy.Start16(third + i, afterNext);
            AsyncCopy.Start16(fourth + i, last);
            AsyncCopy.Start16(first + values + i, keys + valueBytes);
            AsyncCopy.Start16(second + values + i, next + valueBytes);
            AsyncCopy.Start16(third + values + i, afterNext + valueBytes);
            AsyncCopy.Start16(fourth + values + i, last + valueBytes);
            keys = last + sourceStep;
        }
    }

    /// <summary>Copies keys and values token by token.</summary>
    private static void FillKnown(AttentionArguments a, AttentionCursor cursor, int stage, int firstKey, long offset, int piece, int place, int step, int groups)
    {
        int end = Pinned.Int(WarpKeys), position = cursor._row.Position;
        for (int row = place; row < end; row += step)
        {
            int key = firstKey + row, address = stage + (row * 128 * groups) + ((piece ^ (row & 7)) * PieceBytes);
            key = key < cursor._firstKey ? cursor._firstKey : key > position ? position : key;
            long source = GpuRow.TokenAddress(cursor._row, key) + offset;
            AsyncCopy.Start16(address, source);
            AsyncCopy.Start16(address + ValuesOffset(groups), source + ValueBytes(a));
        }
    }

    private static long ValueBytes(AttentionArguments a) => (long)a.KvHeads * a.HeadDim * sizeof(ushort);

    private static void Advance(AttentionArguments a, ref AttentionCursor cursor)
    {
        cursor._tile += AttentionScores.TileKeys;
        if (cursor._tile < cursor._stop) return;
        cursor._unit += cursor._stride;
        if (cursor._unit < cursor._units) Take(a, ref cursor, AttentionUnit.Load(a, cursor._header, cursor._unit));
    }

    private static void Take(AttentionArguments a, ref AttentionCursor cursor, AttentionUnit unit)
    {
        cursor._row = unit.Row;
        cursor._keys = AttentionUnit.KeyOffset(a, unit);
        cursor._tile = unit.Begin;
        cursor._stop = unit.Stop;
        cursor._firstKey = unit.FirstKey;
    }
}
