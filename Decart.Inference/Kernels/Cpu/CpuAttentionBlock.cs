using System.Runtime.CompilerServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// A block of queries over the tiles of keys they see. A block's rows are its key/value heads, of each the queries, of each the
/// query heads that share the key/value head: each tile is read once for all rows of its head.
/// </summary>
internal readonly unsafe ref struct AttentionBlock<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    private readonly AttentionArguments _arguments;
    private readonly float* _keys, _values, _scores, _factors;
    private readonly AttentionState _first, _second;

    public AttentionBlock(AttentionArguments arguments, float* scratch)
    {
        _arguments = arguments;
        _keys = scratch;
        _values = _keys + ((long)CpuAttentionTile.Keys * arguments.HeadDim);
        _scores = _values + ((long)CpuAttentionTile.Keys * arguments.PaddedDim);
        _factors = _scores + (CpuAttentionTile.Keys * CpuAttentionTile.RowsAtOnce);
        _first = new(_factors + 16, arguments.Rows, arguments.PaddedDim);
        _second = new(_first.Memory + arguments.StateLength, arguments.Rows, arguments.PaddedDim);
    }

    /// <summary>Goes through all segments of an item; the state it returns lives in the scratch memory.</summary>
    public AttentionState AttendAll(AttentionItem item)
    {
        AttentionState total = _first;
        for (int key = item.FirstKey; key < item.EndKey;)
        {
            int end = AttentionJob.EndOfSegment(key, item.EndKey);
            bool isFirst = key == item.FirstKey;
            AttendSegment(item, key, end, isFirst ? total : _second);
            if (!isFirst) total.Add<TLanes>(_second, item.Queries * _arguments.Group * item.KvHeads);
            key = end;
        }
        return total;
    }

    /// <summary>Goes through the keys of one segment, from a multiple of the tile on.</summary>
    public void AttendSegment(AttentionItem item, int firstKey, int endKey, AttentionState state)
    {
        CpuChunk chunk = _arguments.Chunks[item.Chunk];
        int rowsOfHead = item.Queries * _arguments.Group, valueOffset = _arguments.KvHeads * _arguments.HeadDim;
        state.Clear(rowsOfHead * item.KvHeads);
        float* keys = (float*)chunk.Kv + ((long)_arguments.Layer * 2 * valueOffset);
        for (int tile = firstKey; tile < endKey; tile += CpuAttentionTile.Keys)
        {
            int count = Math.Min(CpuAttentionTile.Keys, endKey - tile);
            for (int head = 0; head < item.KvHeads; head++)
            {
                float* firstOfHead = keys + (tile * chunk.TokenStride) + ((long)(item.FirstKvHead + head) * _arguments.HeadDim);
                CpuAttentionTile.Pack(
                    firstOfHead, chunk.TokenStride, valueOffset, count, _arguments.HeadDim, _arguments.PaddedDim, _keys, _values);
                AttendTile(item, chunk, head, tile, count, state);
            }
        }
    }

    private void AttendTile(AttentionItem item, in CpuChunk chunk, int head, int tile, int count, AttentionState state)
    {
        int group = _arguments.Group, rows = item.Queries * group, firstPosition = chunk.FirstPosition + item.FirstQuery;
        for (int row = 0; row < rows;)
        {
            int rowsAtOnce = rows - row >= CpuAttentionTile.RowsAtOnce ? CpuAttentionTile.RowsAtOnce : 1;
            int position = firstPosition + (row / group), lastPosition = firstPosition + ((row + rowsAtOnce - 1) / group);
            if (lastPosition >= tile && _arguments.FirstVisible(position) < tile + count)
            {
                AttendRows(item, chunk, head, row, rowsAtOnce, tile, Math.Min(count, lastPosition - tile + 1), state);
            }
            row += rowsAtOnce;
        }
    }

    /// <summary>Four rows or one with the first <paramref name="count"/> keys of a packed tile.</summary>
    private void AttendRows(AttentionItem item, in CpuChunk chunk, int head, int row, int rowsAtOnce, int tile, int count, AttentionState state)
    {
        int step = 2 * TLanes.Count, columns = (count + step - 1) / step * step;
        if (rowsAtOnce == 1)
        {
            CpuAttentionTile.MultiplyAdd1<TLanes>(
                Query(item, chunk, head, row), _arguments.HeadDim, _keys, CpuAttentionTile.Keys, columns, null, _scores);
        }
        else
        {
            CpuAttentionTile.MultiplyAdd4<TLanes>(
                Query(item, chunk, head, row), Query(item, chunk, head, row + 1), Query(item, chunk, head, row + 2), Query(item, chunk, head, row + 3),
                _arguments.HeadDim, _keys, CpuAttentionTile.Keys, columns, null, _scores, CpuAttentionTile.Keys);
        }

        int stateRow = (head * item.Queries * _arguments.Group) + row;
        for (int i = 0; i < rowsAtOnce; i++)
        {
            float* scores = _scores + (i * CpuAttentionTile.Keys);
            int position = chunk.FirstPosition + item.FirstQuery + ((row + i) / _arguments.Group);
            FinishScores(scores, columns, ((item.FirstKvHead + head) * _arguments.Group) + ((row + i) % _arguments.Group), position, tile);
            _factors[i] = CpuAttentionTile.Exponentiate<TLanes>(scores, columns, state.Greatest(stateRow + i), state.Sums(stateRow + i));
        }

        float* values = state.Values(stateRow);
        if (rowsAtOnce == 1)
        {
            CpuAttentionTile.MultiplyAdd1<TLanes>(_scores, count, _values, _arguments.PaddedDim, _arguments.PaddedDim, _factors, values);
        }
        else
        {
            float* scores = _scores;
            CpuAttentionTile.MultiplyAdd4<TLanes>(
                scores, scores + CpuAttentionTile.Keys, scores + (2 * CpuAttentionTile.Keys), scores + (3 * CpuAttentionTile.Keys),
                count, _values, _arguments.PaddedDim, _arguments.PaddedDim, _factors, values, _arguments.PaddedDim);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float* Query(AttentionItem item, in CpuChunk chunk, int head, int row)
    {
        int group = _arguments.Group, queryHead = ((item.FirstKvHead + head) * group) + (row % group);
        return _arguments.Queries + ((chunk.FirstRow + item.FirstQuery + (row / group)) * _arguments.QueryStride) + ((nint)queryHead * _arguments.HeadDim);
    }

    /// <summary>Scales, caps and biases the scores of one query, and hides the keys after it or before its window.</summary>
    private void FinishScores(float* scores, int columns, int queryHead, int position, int tile)
    {
        CpuAttentionTile.Scale<TLanes>(scores, columns, _arguments.Scale, _arguments.SoftCap);
        if (_arguments.AlibiSlopes != null)
        {
            float slope = _arguments.AlibiSlopes[queryHead];
            for (int i = 0; i < columns; i++) scores[i] += slope * (tile + i - position);
        }
        int hiddenBefore = Math.Clamp(_arguments.FirstVisible(position) - tile, 0, columns), visibleEnd = Math.Clamp(position - tile + 1, 0, columns);
        new Span<float>(scores, hiddenBefore).Fill(float.NegativeInfinity);
        new Span<float>(scores + visibleEnd, columns - visibleEnd).Fill(float.NegativeInfinity);
    }
}
