using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// What a team of four warps copies next: the tiles of its units, 64 keys and their values. Each warp copies 16 keys, which it alone multiplies, and their
/// values. A row of a stage is a head of a token, its pieces of 16 bytes exchanged within 128 bytes so that <c>ldmatrix</c> meets no bank twice. Behind the values of a stage lie the scales
/// of its tokens, where there are codes.
/// </summary>
internal struct AttentionCursor
{
    /// <summary>Keys of a tile that a warp copies.</summary>
    public const int WarpKeys = AttentionScores.TileKeys / AttentionColumns.TeamWarps;

    private const int PieceBytes = 16, PieceElements = 8, LineBytes = 128, TokenScaleBytes = 2 * KvCodes.ScaleBytes;

    private GpuAttentionHeader _header;
    private GpuRow _row;
    private long _keys, _scales;
    private int _rank, _unit, _units, _stride, _tile, _stop, _firstKey;

    /// <summary>Bytes of a tile.</summary>
    /// <param name="groups">Groups of 64 dimensions.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    public static int StageBytes(int groups, bool codes) => (2 * ValuesOffset(groups, codes)) + (codes ? AttentionScores.TileKeys * TokenScaleBytes : 0);

    /// <summary>Bytes of a row.</summary>
    /// <inheritdoc cref="StageBytes" path="/param"/>
    public static int RowBytes(int groups, bool codes) => codes ? 64 * groups : 128 * groups;

    /// <summary>Bytes from the keys of a tile to those of warp number <paramref name="rank"/>.</summary>
    public static int WarpOffset(int rank, int groups, bool codes) => rank * WarpKeys * RowBytes(groups, codes);

    /// <summary>Bytes from the keys of a tile to its values.</summary>
    /// <inheritdoc cref="StageBytes" path="/param"/>
    public static int ValuesOffset(int groups, bool codes) => AttentionScores.TileKeys * RowBytes(groups, codes);

    /// <summary>Where the scales of a token of a tile are.</summary>
    /// <param name="stage">Where the tile is.</param>
    /// <param name="key">The token's number in the tile.</param>
    /// <param name="groups">Groups of 64 dimensions.</param>
    public static int ScalesOf(int stage, int key, int groups) => stage + (2 * ValuesOffset(groups, codes: true)) + (key * TokenScaleBytes);

    /// <summary>What a row of codes has its pieces exchanged by: eight rows, or four pairs of rows where two lie within 128 bytes.</summary>
    public static int CodeSwizzle(int row, int groups) => groups > 1 ? row & 7 : (row >> 1) & 3;

    /// <summary>The copies of warp number <paramref name="rank"/> of a team for the first of its units and those from it on by <paramref name="stride"/>.</summary>
    public static AttentionCursor Create(AttentionArguments a, GpuAttentionHeader header, AttentionUnit unit, int rank, int number, int units, int stride, bool codes)
    {
        AttentionCursor cursor = new() { _header = header, _rank = rank, _unit = number, _units = units, _stride = stride };
        Take(a, ref cursor, unit, codes);
        return cursor;
    }

    /// <summary>Whether what comes next was there before the step, and so before the kernel in front began; true where nothing comes.</summary>
    public static bool IsOld(AttentionCursor cursor) => cursor._unit >= cursor._units || cursor._tile + AttentionScores.TileKeys <= cursor._row.Position;

    /// <summary>Fetches what comes next into the second-level cache, as far as it was there before the step.</summary>
    public static void Prefetch(AttentionArguments a, AttentionCursor cursor, int groups, bool codes)
    {
        int lane = Warp.LaneIdx, key = cursor._tile + (cursor._rank * WarpKeys) + (lane & (WarpKeys - 1));
        if (cursor._unit >= cursor._units || key < cursor._firstKey || key >= cursor._row.Position) return;
        long address = GpuRow.TokenAddress(cursor._row, key) + cursor._keys;
        if (lane >= WarpKeys) address += GpuKv.ValueBytes(a, codes);
        Global.Prefetch(address);
        if (groups > 1 && !codes) Global.Prefetch(address + LineBytes);
    }

    /// <summary>
    /// Starts the warp's copies of a tile, if there is one. Tokens that the row does not see are replaced by those that it does: they may not exist.
    /// </summary>
    /// <param name="a">The operation.</param>
    /// <param name="cursor">What to copy; moves on.</param>
    /// <param name="stage">Where in shared memory.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    public static void Fill(AttentionArguments a, ref AttentionCursor cursor, int stage, int groups, bool codes)
    {
        if (cursor._unit >= cursor._units) return;
        if (codes) FillCodes(a, cursor, stage, groups);
        else FillHalves(a, cursor, stage, groups);
        Advance(a, ref cursor, codes);
    }

    private static void FillHalves(AttentionArguments a, AttentionCursor cursor, int stage, int groups)
    {
        int lane = Pinned.Int(Warp.LaneIdx), pieces = PieceElements * groups, piece = lane & (pieces - 1), place = lane >> (groups > 1 ? 4 : 3), step = 4 / groups;
        int key = cursor._tile + (cursor._rank * WarpKeys);
        stage += WarpOffset(cursor._rank, groups, codes: false);
        if (piece * PieceElements < a.HeadDim)
        {
            long offset = cursor._keys + (piece * PieceBytes);
            if (cursor._row.PageTable == 0 && key >= cursor._firstKey && key + WarpKeys <= cursor._row.Position + 1)
                FillWhole(a, stage, GpuRow.TokenAddress(cursor._row, key + place) + offset, step * cursor._row.TokenBytes, piece, place, step, groups);
            else
                FillKnown(a, cursor, stage, key, offset, piece, place, step, groups);
        }
    }

    /// <summary>Copies the codes of keys and values, four rows of each at a time or eight, and their scales, of a token a lane.</summary>
    private static void FillCodes(AttentionArguments a, AttentionCursor cursor, int stage, int groups)
    {
        int lane = Pinned.Int(Warp.LaneIdx), pieces = 4 * groups, piece = lane & (pieces - 1), place = lane >> (groups > 1 ? 3 : 2), step = 8 / groups, end = Pinned.Int(WarpKeys);
        int firstKey = cursor._tile + (cursor._rank * WarpKeys), rows = stage + WarpOffset(cursor._rank, groups, codes: true);
        if (lane < WarpKeys)
        {
            int key = firstKey + lane;
            key = key < cursor._firstKey ? cursor._firstKey : key > cursor._row.Position ? cursor._row.Position : key;
            AsyncCopy.Start4(ScalesOf(stage, (cursor._rank * WarpKeys) + lane, groups), GpuRow.TokenAddress(cursor._row, key) + cursor._scales);
        }
        if (piece * PieceBytes >= a.HeadBytes) return;
        long offset = cursor._keys + (piece * PieceBytes), values = GpuKv.ValueBytes(a, codes: true);
        if (cursor._row.PageTable == 0 && firstKey >= cursor._firstKey && firstKey + WarpKeys <= cursor._row.Position + 1)
        {
            long source = GpuRow.TokenAddress(cursor._row, firstKey + place) + offset, sourceStep = step * cursor._row.TokenBytes;
            FillCodeRow(rows, source, values, place, piece, groups);
            FillCodeRow(rows, source + sourceStep, values, place + step, piece, groups);
            if (groups > 1) FillCodeRow(rows, source + (2 * sourceStep), values, place + (2 * step), piece, groups);
            if (groups > 1) FillCodeRow(rows, source + (3 * sourceStep), values, place + (3 * step), piece, groups);
            return;
        }
        for (int row = place; row < end; row += step)
        {
            int key = firstKey + row;
            key = key < cursor._firstKey ? cursor._firstKey : key > cursor._row.Position ? cursor._row.Position : key;
            FillCodeRow(rows, GpuRow.TokenAddress(cursor._row, key) + offset, values, row, piece, groups);
        }
    }

    private static void FillCodeRow(int rows, long source, long values, int row, int piece, int groups)
    {
        int address = rows + (row * RowBytes(groups, codes: true)) + ((piece ^ CodeSwizzle(row, groups)) * PieceBytes);
        // A head's codes are fewer than what is fetched beside them.
        AsyncCopy.Start16Alone(address, source);
        AsyncCopy.Start16Alone(address + ValuesOffset(groups, codes: true), source + values);
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
        int values = ValuesOffset(groups, codes: false);
        long valueBytes = GpuKv.ValueBytes(a, codes: false);
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
            AsyncCopy.Start16(address + ValuesOffset(groups, codes: false), source + GpuKv.ValueBytes(a, codes: false));
        }
    }

    private static void Advance(AttentionArguments a, ref AttentionCursor cursor, bool codes)
    {
        cursor._tile += AttentionScores.TileKeys;
        if (cursor._tile < cursor._stop) return;
        cursor._unit += cursor._stride;
        if (cursor._unit < cursor._units) Take(a, ref cursor, AttentionUnit.Load(a, cursor._header, cursor._unit), codes);
    }

    private static void Take(AttentionArguments a, ref AttentionCursor cursor, AttentionUnit unit, bool codes)
    {
        cursor._row = unit.Row;
        cursor._keys = AttentionUnit.KeyOffset(a, unit, codes);
        if (codes) cursor._scales = GpuKv.ScaleOffset(a, unit.KvHead);
        cursor._tile = unit.Begin;
        cursor._stop = unit.Stop;
        cursor._firstKey = unit.FirstKey;
    }
}
