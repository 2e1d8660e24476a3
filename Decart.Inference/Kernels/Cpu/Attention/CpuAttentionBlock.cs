using System.Runtime.CompilerServices;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// A block of queries over the tiles of keys they see. A block's rows are its key/value heads, of each the queries, of each the
/// query heads that share the key/value head: each tile is read once for all rows of its head.
/// </summary>
internal readonly unsafe ref struct AttentionBlock<TLanes>
    where TLanes : unmanaged, ILanes<TLanes>
{
    private readonly AttentionArguments _arguments;
    private readonly float* _keys, _values, _scores, _factors, _widened;
    private readonly nint* _tokens, _widenedTokens;
    private readonly AttentionState _first, _second;

    public AttentionBlock(AttentionArguments arguments, float* scratch)
    {
        _arguments = arguments;
        _keys = scratch;
        _values = _keys + ((long)CpuAttentionTile.Keys * arguments.HeadDim);
        _scores = _values + ((long)CpuAttentionTile.Keys * arguments.PaddedDim);
        _factors = _scores + (CpuAttentionTile.Keys * CpuAttentionTile.RowsAtOnce);
        _tokens = (nint*)(_factors + 16);
        _first = new((float*)(_tokens + CpuAttentionTile.KeysAndAhead), arguments.Rows, arguments.PaddedDim);
        _second = new(_first.Memory + arguments.StateLength, arguments.Rows, arguments.PaddedDim);
        if (!arguments.Layout.HasCodes) return;
        _widenedTokens = (nint*)(_second.Memory + arguments.StateLength);
        _widened = (float*)(_widenedTokens + CpuAttentionTile.KeysAndAhead);
        int tokenElements = 2 * arguments.Layout.HeadBytes;
        for (int i = 0; i < CpuAttentionTile.KeysAndAhead; i++) _widenedTokens[i] = (nint)(_widened + ((long)Math.Min(i, CpuAttentionTile.Keys - 1) * tokenElements));
    }

    /// <summary>Goes through all splits of an item; the state it returns lives in the scratch memory.</summary>
    public AttentionState AttendAll(AttentionItem item)
    {
        AttentionState total = _first;
        for (int key = item.FirstKey; key < item.EndKey;)
        {
            int end = AttentionJob.EndOfSplit(key, item.EndKey);
            bool isFirst = key == item.FirstKey;
            AttendSplit(item, key, end, isFirst ? total : _second);
            if (!isFirst) total.Add<TLanes>(_second, _arguments.StateRows(item.Queries) * item.KvHeads);
            key = end;
        }
        return total;
    }

    /// <summary>Goes through the keys of one split, from a multiple of the tile on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void AttendSplit(AttentionItem item, int firstKey, int endKey, AttentionState state)
    {
        CpuChunk chunk = _arguments.Chunks[item.Chunk];
        state.Clear(_arguments.StateRows(item.Queries) * item.KvHeads);
        for (int tile = firstKey; tile < endKey; tile += CpuAttentionTile.Keys)
        {
            int count = Math.Min(CpuAttentionTile.Keys, endKey - tile);
            chunk.Locate(tile, CpuAttentionTile.KeysAndAhead, _tokens);
            for (int head = 0; head < item.KvHeads; head++)
            {
                Pack(item.FirstKvHead + head, count);
                AttendTile(item, chunk, head, tile, count, state);
            }
        }
    }

    /// <summary>Brings the keys and values of a head, of as many tokens of the tile as there are, to where they are multiplied.</summary>
    private void Pack(int head, int count)
    {
        KvLayout layout = _arguments.Layout;
        nint keyOffset = layout.LayerOffset(_arguments.Layer) + ((nint)head * layout.HeadBytes);
        nint valueOffset = layout.ValueOffset;
        nint* tokens = layout.HasCodes ? _widenedTokens : _tokens;
        if (layout.HasCodes)
        {
            nint scaleOffset = layout.ScaleOffset(_arguments.Layer);
            for (int key = 0; key < count; key++)
            {
                byte* codes = (byte*)_tokens[key] + keyOffset;
                ushort* scales = (ushort*)(_tokens[key] + scaleOffset) + (2 * head);
                float* widened = (float*)_widenedTokens[key];
                CpuKvCodes.Widen(codes, layout.HeadBytes, scales[0], widened);
                CpuKvCodes.Widen(codes + valueOffset, layout.HeadBytes, scales[1], widened + layout.HeadBytes);
            }
            (keyOffset, valueOffset) = (0, layout.HeadBytes * sizeof(float));
        }
        CpuAttentionTile.Pack<TLanes>(tokens, keyOffset / sizeof(float), valueOffset / sizeof(float), count, _arguments.HeadDim, _arguments.PaddedDim, _keys, _values);
    }

    /// <summary>All rows of one head, four at once; when fewer are left the last is repeated, into rows of the state that nobody reads.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AttendTile(AttentionItem item, in CpuChunk chunk, int head, int tile, int count, AttentionState state)
    {
        int group = _arguments.Group, rows = item.Queries * group, firstPosition = chunk.FirstPosition + item.FirstQuery;
        for (int row = 0; row < rows; row += CpuAttentionTile.RowsAtOnce)
        {
            int last = Math.Min(row + CpuAttentionTile.RowsAtOnce, rows) - 1;
            int position = firstPosition + (row / group), lastPosition = firstPosition + (last / group);
            if (lastPosition < tile || _arguments.FirstVisible(position) >= tile + count) continue;
            AttendRows(item, chunk, head, row, last, tile, Math.Min(count, lastPosition - tile + 1), state);
        }
    }

    /// <summary>
    /// Four rows, of which those after <paramref name="last"/> do not matter, with the first <paramref name="count"/> keys of the packed tile.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AttendRows(AttentionItem item, in CpuChunk chunk, int head, int row, int last, int tile, int count, AttentionState state)
    {
        int step = 2 * TLanes.Count, columns = (count + step - 1) / step * step, stateRow = (head * _arguments.StateRows(item.Queries)) + row;
        float* s0 = _scores, s1 = s0 + CpuAttentionTile.Keys, s2 = s1 + CpuAttentionTile.Keys, s3 = s2 + CpuAttentionTile.Keys;
        CpuAttentionTile.MultiplyAdd4<TLanes>(
            Query(item, chunk, head, row), Query(item, chunk, head, Math.Min(row + 1, last)), Query(item, chunk, head, Math.Min(row + 2, last)),
            Query(item, chunk, head, Math.Min(row + 3, last)), _arguments.HeadDim, _keys, CpuAttentionTile.Keys, columns, null, _scores, CpuAttentionTile.Keys);
        for (int i = 0; i <= last - row; i++)
        {
            float* scores = _scores + (i * CpuAttentionTile.Keys);
            int queryHead = ((item.FirstKvHead + head) * _arguments.Group) + ((row + i) % _arguments.Group);
            int position = chunk.FirstPosition + item.FirstQuery + ((row + i) / _arguments.Group);
            float scale = FinishScores(scores, columns, queryHead, position, tile);
            _factors[i] = CpuAttentionTile.Exponentiate<TLanes>(scores, columns, scale, state.Greatest(stateRow + i), state.Sums(stateRow + i));
        }
        CpuAttentionTile.MultiplyAdd4<TLanes>(
            s0, s1, s2, s3, count, _values, _arguments.PaddedDim, _arguments.PaddedDim, _factors, state.Values(stateRow), _arguments.PaddedDim);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float* Query(AttentionItem item, in CpuChunk chunk, int head, int row)
    {
        int group = _arguments.Group, queryHead = ((item.FirstKvHead + head) * group) + (row % group);
        return _arguments.Queries + ((chunk.FirstRow + item.FirstQuery + (row / group)) * _arguments.QueryStride) + ((nint)queryHead * _arguments.HeadDim);
    }

    /// <summary>Caps and biases the scores of one query and hides the keys after it or before its window; returns the factor that they still need.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float FinishScores(float* scores, int columns, int queryHead, int position, int tile)
    {
        float scale = _arguments.Scale;
        if (_arguments.SoftCap != 0)
        {
            CpuAttentionTile.Cap<TLanes>(scores, columns, scale, _arguments.SoftCap);
            scale = 1;
        }
        if (_arguments.AlibiSlopes != null)
        {
            CpuAttentionTile.AddAlibi(scores, columns, scale, _arguments.AlibiSlopes[queryHead], position - tile);
            scale = 1;
        }
        int hiddenBefore = _arguments.FirstVisible(position) - tile, visible = position - tile + 1;
        if (hiddenBefore > 0) new Span<float>(scores, Math.Min(hiddenBefore, columns)).Fill(float.NegativeInfinity);
        if (visible < columns) new Span<float>(scores + Math.Max(visible, 0), columns - Math.Max(visible, 0)).Fill(float.NegativeInfinity);
        return scale;
    }
}
