using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// What a warp copies next: for each tile of 64 keys of its units two stages of 32 keys, then two of their values. A row of a stage is a head of a token,
/// its pieces of 16 bytes exchanged within 128 bytes so that <c>ldmatrix</c> meets no bank twice.
/// </summary>
internal struct AttentionCursor
{
    public const int StageKeys = 32;

    private const int PieceBytes = 16, PieceElements = 8;

    private GpuAttentionHeader _header;
    private GpuRow _row;
    private long _keys;
    private int _unit, _units, _stride, _phase, _tile, _stop, _firstKey;

    /// <summary>The first of a warp's units, those from it on by <paramref name="stride"/>.</summary>
    public static AttentionCursor Create(AttentionArguments a, GpuAttentionHeader header, AttentionUnit unit, int number, int units, int stride)
    {
        AttentionCursor cursor = new() { _header = header, _unit = number, _units = units, _stride = stride };
        Take(a, ref cursor, unit);
        return cursor;
    }

    /// <summary>
    /// Starts the copies of a stage, if there is one. Tokens that the row does not see are replaced by those that it does: they may not exist.
    /// </summary>
    /// <param name="a">The operation.</param>
    /// <param name="cursor">What to copy; moves on.</param>
    /// <param name="stage">Where in shared memory.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    public static void Fill(AttentionArguments a, ref AttentionCursor cursor, int stage, int groups)
    {
        if (cursor._unit >= cursor._units) return;
        int lane = Pinned.Int(Warp.LaneIdx), pieces = PieceElements * groups, piece = lane & (pieces - 1), place = lane >> (groups > 1 ? 4 : 3), step = 4 / groups, rowBytes = 128 * groups;
        int token = cursor._tile + (StageKeys * (cursor._phase & 1)), position = cursor._row.Position;
        // What came before the step was there before the kernel in front began.
        if (token + StageKeys > position) GridDependency.Wait();
        if (piece * PieceElements < a.HeadDim)
        {
            long offset = cursor._keys + (piece * PieceBytes);
            if (cursor._phase >= 2) offset += (long)a.KvHeads * a.HeadDim * sizeof(ushort);
            if (cursor._row.PageTable == 0 && token >= cursor._firstKey && token + StageKeys <= position + 1)
                FillWhole(stage, GpuRow.TokenAddress(cursor._row, token + place) + offset, step * cursor._row.TokenBytes, piece, place, step, rowBytes);
            else
                FillKnown(cursor, stage, token, offset, piece, place, step, rowBytes);
        }
        Advance(a, ref cursor);
    }

    /// <summary>
    /// Copies a stage whose tokens are all there, at one distance from each other, four at a time: how pieces are exchanged repeats with every eighth row.
    /// </summary>
    private static void FillWhole(int stage, long source, long sourceStep, int piece, int place, int step, int rowBytes)
    {
        int row = stage + (place * rowBytes), own = (piece ^ place) * PieceBytes, stageStep = step * rowBytes;
        int first = row + own, second = row + stageStep + (own ^ ((step & 7) * PieceBytes));
        int third = row + (2 * stageStep) + (own ^ ((2 * step & 7) * PieceBytes)), fourth = row + (3 * stageStep) + (own ^ ((3 * step & 7) * PieceBytes));
        long next = source + sourceStep, afterNext = next + sourceStep, last = afterNext + sourceStep;
        sourceStep *= 4;
        for (int i = 0; i < StageKeys * rowBytes; i += 4 * stageStep)
        {
            AsyncCopy.Start16(first + i, source);
            AsyncCopy.Start16(second + i, next);
            AsyncCopy.Start16(third + i, afterNext);
            AsyncCopy.Start16(fourth + i, last);
            source += sourceStep;
            next += sourceStep;
            afterNext += sourceStep;
            last += sourceStep;
        }
    }

    /// <summary>Copies a stage token by token.</summary>
    private static void FillKnown(AttentionCursor cursor, int stage, int token, long offset, int piece, int place, int step, int rowBytes)
    {
        int end = Pinned.Int(StageKeys), position = cursor._row.Position;
        for (int row = place; row < end; row += step)
        {
            int key = token + row;
            key = key < cursor._firstKey ? cursor._firstKey : key > position ? position : key;
            AsyncCopy.Start16(stage + (row * rowBytes) + ((piece ^ (row & 7)) * PieceBytes), GpuRow.TokenAddress(cursor._row, key) + offset);
        }
    }

    private static void Advance(AttentionArguments a, ref AttentionCursor cursor)
    {
        cursor._phase++;
        if (cursor._phase < 4) return;
        cursor._phase = 0;
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
