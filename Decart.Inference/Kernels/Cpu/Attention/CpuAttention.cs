using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Divides the attention of a batch into items and has the team work on them. Owns the threads' scratch memory.</summary>
internal sealed unsafe class CpuAttention(ThreadTeam team, SimdWidth width) : IDisposable
{
    /// <summary>Rows of queries for which a tile is read once; more when a single query has more heads to a key/value head.</summary>
    private const int MaxRows = 128;

    /// <summary>Multiplications below which the caller works alone: waking the others would take about as long.</summary>
    private const long MinProductsPerPart = 64 * 1024;

    /// <summary>Items of a step of single tokens for each thread, when there are heads enough: fewer would leave threads idle at the end.</summary>
    private const int ItemsPerThread = 4;

    private readonly CpuBuffer<float> _scratch = new(0);
    private readonly CpuBuffer<float> _splits = new(0);
    private readonly List<AttentionItem> _items = [];
    private readonly List<AttentionItem> _splitItems = [];

    /// <summary>See <see cref="IKernels.Attend"/>.</summary>
    public void Attend(CpuStep step, CpuActivations qkv, int layer, AttentionShape shape, KvLayout layout, CpuActivations y)
    {
        int group = shape.Heads / shape.KvHeads, padding = width == SimdWidth.Vector512 ? 32 : 16;
        AttentionArguments arguments = new()
        {
            Chunks = step.Chunks,
            Queries = qkv.Pointer,
            QueryStride = qkv.Stride,
            Outputs = y.Pointer,
            OutputStride = y.Stride,
            Layer = layer,
            Layout = layout,
            Heads = shape.Heads,
            KvHeads = shape.KvHeads,
            HeadDim = shape.HeadDim,
            PaddedDim = (shape.HeadDim + padding - 1) / padding * padding,
            Rows = Math.Max(MaxRows, (group + CpuAttentionTile.RowsAtOnce - 1) / CpuAttentionTile.RowsAtOnce * CpuAttentionTile.RowsAtOnce),
            Window = shape.Window,
            Scale = shape.Scale,
            SoftCap = shape.SoftCap,
        };
        long products = Divide(step, arguments);
        int parts = (int)Math.Clamp(products / MinProductsPerPart, 1, team.Threads);
        bool isSplit = _items.Count < parts && DivideIntoSplits();
        List<AttentionItem> items = isSplit ? _splitItems : _items;

        arguments.ScratchLength = AttentionJob.ScratchLength(arguments.Rows, arguments.Layout, arguments.PaddedDim);
        _scratch.Reserve(arguments.ScratchLength * team.Threads);
        arguments.Scratch = _scratch.Pointer;
        if (isSplit) _splits.Reserve(arguments.StateLength * items.Count);
        arguments.Splits = _splits.Pointer;
        fixed (float* slopes = shape.AlibiSlopes)
        fixed (AttentionItem* pointer = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(items))
        {
            arguments.AlibiSlopes = slopes;
            int taken = 0;
            team.Run(new AttentionJob(arguments, pointer, items.Count, &taken, width), Math.Min(parts, items.Count));
        }
        if (isSplit) Merge(arguments);
    }

    public void Dispose()
    {
        _scratch.Dispose();
        _splits.Dispose();
    }

    /// <summary>Fills <see cref="_items"/>, in each chunk the last queries, which see the most, first; returns the number of multiplications.</summary>
    private long Divide(CpuStep step, in AttentionArguments arguments)
    {
        _items.Clear();
        long products = 0;
        int queriesPerItem = Math.Max(1, MaxRows / arguments.Group);
        int headsPerItem = Math.Max(1, step.ChunkCount * arguments.KvHeads / (team.Threads * ItemsPerThread));
        for (int c = 0; c < step.ChunkCount; c++)
        {
            CpuChunk chunk = step.Chunks[c];
            // Single tokens: heads of one token lie side by side, so that a thread that takes several reads longer runs of memory.
            int rowsOfHead = arguments.StateRows(Math.Min(chunk.Length, queriesPerItem));
            int heads = Math.Min(headsPerItem, Math.Max(1, MaxRows / rowsOfHead));
            for (int first = (chunk.Length - 1) / queriesPerItem * queriesPerItem; first >= 0; first -= queriesPerItem)
            {
                int queries = Math.Min(queriesPerItem, chunk.Length - first), position = chunk.FirstPosition + first;
                int firstKey = arguments.FirstVisible(position) / CpuAttentionTile.Keys * CpuAttentionTile.Keys, endKey = position + queries;
                for (int head = 0; head < arguments.KvHeads; head += heads)
                {
                    _items.Add(new AttentionItem(c, first, queries, head, Math.Min(heads, arguments.KvHeads - head), firstKey, endKey));
                }
                products += 2L * queries * arguments.Heads * arguments.HeadDim * (endKey - firstKey);
            }
        }
        return products;
    }

    /// <summary>Makes an item of each split of each item; false when none has more than one.</summary>
    private bool DivideIntoSplits()
    {
        _splitItems.Clear();
        foreach (AttentionItem item in _items)
        {
            for (int key = item.FirstKey; key < item.EndKey;)
            {
                int end = AttentionJob.EndOfSplit(key, item.EndKey);
                _splitItems.Add(item with { FirstKey = key, EndKey = end, Split = _splitItems.Count });
                key = end;
            }
        }
        return _splitItems.Count > _items.Count;
    }

    private void Merge(in AttentionArguments arguments)
    {
        int first = 0;
        foreach (AttentionItem item in _items)
        {
            int count = 1;
            while (_splitItems[first + count - 1].EndKey < item.EndKey) count++;
            switch (width)
            {
                case SimdWidth.Vector512: AttentionJob.Merge<Float32x16>(arguments, item, first, count); break;
                case SimdWidth.Vector256: AttentionJob.Merge<Float32x8>(arguments, item, first, count); break;
                case SimdWidth.Vector128: AttentionJob.Merge<Float32x4>(arguments, item, first, count); break;
                default: AttentionJob.Merge<Float32x1>(arguments, item, first, count); break;
            }
            first += count;
        }
    }
}
