using System.Numerics;
using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The batch of the current step in the device's memory, sent with one copy and laid out by <see cref="Capacity"/> alone, so that what was recorded for
/// one batch reads the next: [tokens, rows of logits (int), 8 bytes unused | a <see cref="GpuRow"/> for each token | the rows whose logits are wanted
/// (int) | the work list of each <see cref="GpuAttentionPlan"/>]. Owns what attention needs beside: partial results and counters. Reused from step to
/// step.
/// </summary>
internal sealed class GpuStep(IGpuDevice device) : IDisposable
{
    /// <summary>Warps for each multiprocessor from which on contexts are not divided.</summary>
    public const int WarpsPerMultiprocessor = 8;

    /// <summary>Bytes of partial results beyond which contexts are not divided either.</summary>
    private const long MaxPartialBytes = 256L << 20;

    /// <summary>The fewest keys of a split: a row has a slot for partial results for each so many of its tokens.</summary>
    private const int SlotTokens = GpuTensorAttention.SpanTokens;

    private const int HeaderBytes = 16, Alignment = 16, MinCounterBytes = 1024;

    private readonly GpuBuffer _descriptor = new(device.Memory), _partials = new(device.Memory), _counters = new(device.Memory);
    private readonly List<GpuAttentionPlan> _plans = [];
    private byte[] _bytes = [];
    private Batch? _batch;
    private long _slots;
    private int _maxTokens, _contextLength;

    /// <summary>Whether every chunk is one token, so that the step can be recorded and repeated.</summary>
    public bool IsDecode { get; private set; }

    /// <summary>Rows that launches are sized for; kernels leave those alone that are beyond the batch.</summary>
    /// <exception cref="InvalidOperationException">No step has begun.</exception>
    public int Capacity { get => _batch is null ? throw new InvalidOperationException("No step has begun.") : field; private set; }

    /// <summary>Rows of logits that launches are sized for; 0: none are wanted.</summary>
    public int LogitCapacity => IsDecode ? Capacity : _batch!.LogitRows.Length;

    /// <summary>Address of the number of tokens (int).</summary>
    public nint Count => _descriptor.Address;

    /// <summary>Address of the number of rows of logits (int).</summary>
    public nint LogitCount => _descriptor.Address + sizeof(int);

    /// <summary>Address of the array of <see cref="GpuRow"/>.</summary>
    public nint Rows => _descriptor.Address + HeaderBytes;

    /// <summary>Address of the array of the rows whose logits are wanted (int).</summary>
    public nint LogitRows => Rows + (nint)((long)Capacity * GpuRow.Bytes);

    /// <summary>Address of the partial results of attention; see <see cref="AttentionArguments.Partials"/>.</summary>
    public nint Partials => _partials.Address;

    /// <summary>Address of the counters of attention; see <see cref="AttentionArguments.Counters"/>.</summary>
    public nint Counters => _counters.Address;

    /// <summary>How often some of the addresses changed otherwise than with the capacity.</summary>
    public int Moves => _descriptor.Moves + _partials.Moves + _counters.Moves;

    /// <summary>Says what the largest batch and the longest sequence will be, so that room is made once.</summary>
    public void Limit(int maxTokens, int contextLength) => (_maxTokens, _contextLength) = (maxTokens, contextLength);

    /// <summary>
    /// Takes a batch. Steps of single tokens get room for a power of two of rows, or for the most that there can be, others for those that they have.
    /// </summary>
    public void Begin(Batch batch)
    {
        bool decode = true;
        foreach (BatchChunk chunk in batch.Chunks) decode &= chunk.Length == 1;
        int bucket = (int)BitOperations.RoundUpToPowerOf2((uint)batch.TokenCount);
        if (_maxTokens != 0) bucket = Math.Min(bucket, Math.Max(_maxTokens, batch.TokenCount));
        Begin(batch, decode, decode ? bucket : batch.TokenCount);
    }

    /// <summary>Takes a batch of no tokens in place of one of up to <paramref name="capacity"/>.</summary>
    public void BeginEmpty(bool decode, int capacity) => Begin(new Batch(), decode, capacity);

    /// <summary>The address of a plan's work list.</summary>
    public nint WorkOf(GpuAttentionPlan plan)
    {
        int index = _plans.IndexOf(plan);
        if (index < 0)
        {
            // A shape is met for the first time: what the step's kernels read so far stays where it is, or is sent once more.
            index = _plans.Count;
            _plans.Add(plan);
            int tokens = Math.Max(_maxTokens, Capacity);
            ReserveCounters(tokens, plan);
            _partials.Reserve(WorstPartialBytes(plan));
            Send();
        }
        return _descriptor.Address + WorkOffset(index);
    }

    /// <summary>Units of work that a launch is sized for: those that there are, or, for any batch of the capacity, enough for all multiprocessors.</summary>
    public long UnitsOf(GpuAttentionPlan plan)
    {
        nint work = WorkOf(plan);
        if (!IsDecode || _contextLength == 0) return (long)MemoryMarshal.Read<int>(_bytes.AsSpan((int)(work - _descriptor.Address) + sizeof(int))) * plan.HeadGroups;
        long whole = (long)Capacity * plan.HeadGroups, most = whole * plan.Splits(0, _contextLength);
        return Math.Max(whole, Math.Min(most, (long)WarpsPerMultiprocessor * device.Multiprocessors / plan.WarpsPerUnit));
    }

    public void Dispose()
    {
        _descriptor.Dispose();
        _partials.Dispose();
        _counters.Dispose();
    }

    private void Begin(Batch batch, bool decode, int capacity)
    {
        _batch = batch;
        IsDecode = decode;
        Capacity = Math.Max(capacity, 1);
        _slots = 0;
        foreach (BatchChunk chunk in batch.Chunks)
        {
            for (int i = 0; i < chunk.Length; i++) _slots += Slots(chunk.FirstPosition + i);
        }
        foreach (GpuAttentionPlan plan in _plans) ReserveCounters(Capacity, plan);
        Send();
    }

    private void ReserveCounters(int tokens, GpuAttentionPlan plan)
    {
        // More than the buffer begins with, so that all of it is cleared.
        long bytes = Math.Max((long)tokens * plan.HeadGroups * sizeof(int), MinCounterBytes);
        if (_counters.Reserve(bytes)) device.Clear(_counters.Address, bytes);
    }

    private void Send()
    {
        int bytes = WorkOffset(_plans.Count);
        if (_bytes.Length < bytes) _bytes = new byte[(int)BitOperations.RoundUpToPowerOf2((uint)bytes)];
        MemoryMarshal.Write(_bytes, _batch!.TokenCount);
        MemoryMarshal.Write(_bytes.AsSpan(sizeof(int)), _batch.LogitRows.Length);
        WriteRows(MemoryMarshal.Cast<byte, GpuRow>(_bytes.AsSpan(HeaderBytes))[..Capacity]);
        MemoryMarshal.AsBytes(_batch.LogitRows).CopyTo(_bytes.AsSpan(HeaderBytes + (Capacity * GpuRow.Bytes)));
        for (int i = 0; i < _plans.Count; i++) WriteWork(_plans[i], _bytes.AsSpan(WorkOffset(i)));
        _descriptor.Reserve(Math.Max(bytes, (long)_maxTokens * (bytes - HeaderBytes) / Capacity + HeaderBytes + Alignment));
        device.Upload(_descriptor.Address, _bytes.AsSpan(0, bytes));
    }

    private void WriteRows(Span<GpuRow> rows)
    {
        int slot = 0;
        foreach (BatchChunk chunk in _batch!.Chunks)
        {
            for (int i = 0; i < chunk.Length; i++)
            {
                int row = chunk.FirstRow + i;
                rows[row] = new GpuRow
                {
                    Kv = chunk.Kv.Address,
                    PageTable = chunk.Kv.PageTable,
                    TokenBytes = chunk.Kv.TokenStride * GpuKernels.KvBytes,
                    PageShift = chunk.Kv.PageTable == 0 ? 0 : BitOperations.Log2((uint)chunk.Kv.TokensPerPage),
                    Position = chunk.FirstPosition + i,
                    TokenId = _batch.TokenIds[row],
                    PartialStart = slot,
                    RotaryLength = chunk.Kv.RotaryLength,
                };
                slot += Slots(chunk.FirstPosition + i);
            }
        }
    }

    private void WriteWork(GpuAttentionPlan plan, Span<byte> list)
    {
        int tileCount = 0, items = 0;
        foreach (BatchChunk chunk in _batch!.Chunks) tileCount += (chunk.Length + plan.RowsPerTile - 1) / plan.RowsPerTile;
        bool divided = IsDivided(plan, tileCount);
        Span<GpuTile> tiles = MemoryMarshal.Cast<byte, GpuTile>(list[GpuAttentionWork.HeaderBytes..])[..tileCount];
        int tile = 0;
        foreach (BatchChunk chunk in _batch.Chunks)
        {
            for (int i = 0; i < chunk.Length; i += plan.RowsPerTile)
            {
                int rows = Math.Min(plan.RowsPerTile, chunk.Length - i), own = divided ? plan.Splits(chunk.FirstPosition + i, rows) : 1;
                tiles[tile++] = new GpuTile { FirstRow = chunk.FirstRow + i, Rows = rows, FirstItem = items, Items = own };
                items += own;
            }
        }
        MemoryMarshal.Write(list, tileCount);
        MemoryMarshal.Write(list[sizeof(int)..], items);
    }

    /// <summary>Whether contexts are divided; if so there is room for the partial results.</summary>
    private bool IsDivided(GpuAttentionPlan plan, int tiles)
    {
        long warps = (long)tiles * plan.HeadGroups * plan.WarpsPerUnit, bytes = _slots * plan.SlotBytes;
        if (warps >= (long)WarpsPerMultiprocessor * device.Multiprocessors || bytes > (_contextLength == 0 ? MaxPartialBytes : _partials.Bytes)) return false;
        _partials.Reserve(bytes);
        return true;
    }

    /// <summary>Partial results of as many single tokens as are divided, each as late as can be.</summary>
    private long WorstPartialBytes(GpuAttentionPlan plan)
    {
        if (_contextLength == 0) return 0;
        long tiles = ((long)WarpsPerMultiprocessor * device.Multiprocessors / (plan.HeadGroups * plan.WarpsPerUnit)) + 1;
        return Math.Min(MaxPartialBytes, Math.Min(tiles, _maxTokens) * Slots(_contextLength - 1) * plan.SlotBytes);
    }

    private int WorkOffset(int plan)
    {
        int tables = HeaderBytes + (Capacity * (GpuRow.Bytes + sizeof(int)));
        tables = (tables + Alignment - 1) / Alignment * Alignment;
        return checked(tables + (plan * (GpuAttentionWork.HeaderBytes + (Capacity * GpuAttentionWork.TileBytes))));
    }

    private static int Slots(int position) => (position / SlotTokens) + 1;
}
