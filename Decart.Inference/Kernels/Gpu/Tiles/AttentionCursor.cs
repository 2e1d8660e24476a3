using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>What the warp that copies for a team copies next: the tiles of its units, 64 keys and their values, as <see cref="AttentionStage"/> has them.</summary>
internal struct AttentionCursor<TShape>
    where TShape : IAttentionRing
{
    private const int Lanes = 32, PieceBytes = 16, LineBytes = 128;

    private GpuAttentionHeader _header;
    private GpuRow _row;
    private long _keys, _scales;
    private int _unit, _units, _stride, _tile, _stop, _firstKey;

    /// <summary>The copies for the first of a team's units and those from it on by <paramref name="stride"/>.</summary>
    public static AttentionCursor<TShape> Create(AttentionArguments a, GpuAttentionHeader header, int number, int units, int stride)
    {
        AttentionCursor<TShape> cursor = new() { _header = header, _unit = number, _units = units, _stride = stride };
        Take(a, ref cursor);
        return cursor;
    }

    /// <summary>Whether there is a tile to copy.</summary>
    public static bool Exists(AttentionCursor<TShape> cursor) => cursor._unit < cursor._units;

    /// <summary>Whether the tile was there before the step, and so before the kernel in front began.</summary>
    public static bool IsOld(AttentionCursor<TShape> cursor) => cursor._tile + AttentionScores.TileKeys <= cursor._row.Position;

    /// <summary>Fetches the tile into the second-level cache, as far as it was there before the step.</summary>
    public static void Prefetch(AttentionArguments a, AttentionCursor<TShape> cursor)
    {
        for (int key = cursor._tile + Warp.LaneIdx; key < cursor._tile + AttentionScores.TileKeys; key += Lanes)
        {
            if (key < cursor._firstKey || key >= cursor._row.Position) continue;
            long keys = GpuRow.TokenAddress(cursor._row, key) + cursor._keys, values = keys + GpuKv.ValueBytes(a, TShape.HasCodes);
            Global.Prefetch(keys);
            Global.Prefetch(values);
            if (AttentionStage.RowBytes(TShape.Groups, TShape.HasCodes) <= LineBytes) continue;
            Global.Prefetch(keys + LineBytes);
            Global.Prefetch(values + LineBytes);
        }
    }

    /// <summary>Starts the copies of the tile. Tokens that the row does not see are replaced by those that it does: they may not exist.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="cursor">What to copy; moves on.</param>
    /// <param name="stage">Where in shared memory.</param>
    public static void Fill(AttentionArguments a, ref AttentionCursor<TShape> cursor, int stage)
    {
        int shift = AttentionStage.PieceShift(TShape.Groups, TShape.HasCodes), lane = Pinned.Int(Warp.LaneIdx), piece = lane & ((1 << shift) - 1), row = lane >> shift;
        bool hasPiece = piece * PieceBytes < (TShape.HasCodes ? a.HeadBytes : a.HeadDim * sizeof(ushort));
        bool isWhole = cursor._tile >= cursor._firstKey && cursor._tile + AttentionScores.TileKeys <= cursor._row.Position + 1, isPaged = cursor._row.PageTable != 0;
        // Rows of a page are at one distance.
        bool isStrided = isWhole && (!isPaged || RunRows <= 1 << cursor._row.PageShift);
        long first = 0, second = 0;
        if (TShape.HasCodes || isPaged || !isStrided)
        {
            first = SeenToken(cursor, lane);
            second = SeenToken(cursor, lane + Lanes);
        }
        if (TShape.HasCodes)
        {
            AsyncCopy.Start4(AttentionStage.ScalesOf(stage, lane, TShape.Groups), first + cursor._scales);
            AsyncCopy.Start4(AttentionStage.ScalesOf(stage, lane + Lanes, TShape.Groups), second + cursor._scales);
        }
        if (isStrided) FillStrided(a, cursor, stage, row, piece, hasPiece, first, second);
        else FillKnown(a, cursor, stage, row, piece, hasPiece, first, second);
        Advance(a, ref cursor);
    }

    /// <summary>Rows of keys, and of values, that all lanes copy one after another at one distance.</summary>
    private static int RunRows => 4 * (Lanes >> AttentionStage.PieceShift(TShape.Groups, TShape.HasCodes));

    /// <summary>
    /// Copies keys and values that are all there, runs of them at one distance from each other, four rows of each at a time: how pieces are exchanged repeats with every
    /// eighth row. With page tables the lanes have found where tokens are.
    /// </summary>
    private static void FillStrided(AttentionArguments a, AttentionCursor<TShape> cursor, int stage, int row, int piece, bool hasPiece, long found, long secondFound)
    {
        int rowBytes = AttentionStage.RowBytes(TShape.Groups, TShape.HasCodes), step = RunRows / 4, end = Pinned.Int(AttentionScores.TileKeys);
        int first = Place(stage, row, piece), second = Place(stage, row + step, piece), third = Place(stage, row + (2 * step), piece), fourth = Place(stage, row + (3 * step), piece);
        int values = AttentionStage.ValuesOffset(TShape.Groups, TShape.HasCodes);
        bool isPaged = cursor._row.PageTable != 0;
        long own = cursor._keys + (piece * PieceBytes), source = isPaged ? 0 : GpuRow.TokenAddress(cursor._row, cursor._tile + row) + own, sourceStep = step * cursor._row.TokenBytes;
        long valueBytes = GpuKv.ValueBytes(a, TShape.HasCodes);
        for (int run = 0; run < end; run += RunRows)
        {
            if (isPaged) source = Warp.Shuffle(run < Lanes ? found : secondFound, (run + row) & (Lanes - 1)) + own;
            long next = source + sourceStep, afterNext = next + sourceStep, last = afterNext + sourceStep;
            int offset = run * rowBytes;
            if (hasPiece)
            {
                Start(first + offset, source);
                Start(second + offset, next);
                Start(third + offset, afterNext);
                Start(fourth + offset, last);
                Start(first + values + offset, source + valueBytes);
                Start(second + values + offset, next + valueBytes);
                Start(third + values + offset, afterNext + valueBytes);
                Start(fourth + values + offset, last + valueBytes);
            }
            source = last + sourceStep;
        }
    }

    /// <summary>Copies keys and values token by token, whose addresses the lanes have found: each that of its own in either half of the tile.</summary>
    private static void FillKnown(AttentionArguments a, AttentionCursor<TShape> cursor, int stage, int row, int piece, bool hasPiece, long first, long second)
    {
        int step = Lanes >> AttentionStage.PieceShift(TShape.Groups, TShape.HasCodes), end = Pinned.Int(AttentionScores.TileKeys);
        for (; row < end; row += step)
        {
            // The rows of a step lie in the same half.
            long source = Warp.Shuffle(row < Lanes ? first : second, row & (Lanes - 1)) + cursor._keys + (piece * PieceBytes);
            if (!hasPiece) continue;
            int place = Place(stage, row, piece);
            Start(place, source);
            Start(place + AttentionStage.ValuesOffset(TShape.Groups, TShape.HasCodes), source + GpuKv.ValueBytes(a, TShape.HasCodes));
        }
    }

    /// <summary>Where a piece of a row goes.</summary>
    private static int Place(int stage, int row, int piece) =>
        stage + (row * AttentionStage.RowBytes(TShape.Groups, TShape.HasCodes)) + ((piece ^ AttentionStage.Swizzle(row, TShape.Groups, TShape.HasCodes)) * PieceBytes);

    /// <summary>Where the token of a row of the tile is, or the nearest one that is seen.</summary>
    private static long SeenToken(AttentionCursor<TShape> cursor, int row)
    {
        int key = cursor._tile + row;
        return GpuRow.TokenAddress(cursor._row, key < cursor._firstKey ? cursor._firstKey : key > cursor._row.Position ? cursor._row.Position : key);
    }

    private static void Start(int place, long source)
    {
        // A head's codes are fewer than what would be fetched beside them.
        if (TShape.HasCodes) AsyncCopy.Start16Alone(place, source);
        else AsyncCopy.Start16(place, source);
    }

    private static void Advance(AttentionArguments a, ref AttentionCursor<TShape> cursor)
    {
        cursor._tile += AttentionScores.TileKeys;
        if (cursor._tile < cursor._stop) return;
        cursor._unit += cursor._stride;
        if (Exists(cursor)) Take(a, ref cursor);
    }

    private static void Take(AttentionArguments a, ref AttentionCursor<TShape> cursor)
    {
        AttentionUnit unit = AttentionUnit.Load(a, cursor._header, cursor._unit);
        cursor._row = unit.Row;
        cursor._keys = AttentionUnit.KeyOffset(a, unit, TShape.HasCodes);
        if (TShape.HasCodes) cursor._scales = GpuKv.ScaleOffset(a, unit.KvHead);
        cursor._tile = unit.Begin;
        cursor._stop = unit.Stop;
        cursor._firstKey = unit.FirstKey;
    }
}
