using System.Numerics;
using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The batch of the current step in the device's memory, sent with one copy and laid out by <see cref="Capacity"/> alone, so that what was recorded for
/// one batch reads the next: [tokens, rows of logits, tokens of two parts (int) | a <see cref="GpuRow"/> for each token | the rows whose logits are wanted
/// (int) | the work list of each <see cref="GpuAttentionPlan"/>]. Owns what attention needs beside: partial results and counters. Reused from step to
/// step.
/// </summary>
internal sealed class GpuStep(IGpuDevice device, int kvElementBytes) : IDisposable
{
    /// <summary>Warps for each multiprocessor from which on contexts are not divided.</summary>
    private const int WarpsPerMultiprocessor = 8;

    /// <summary>The most runs of a single token that a team takes, and how many keys it could read while it begins and ends one: some 8 us on an H200, of which it knows by atomics who is last.</summary>
    private const int MostRuns = 8, KeysOfOneRun = 256;

    /// <summary>Bytes of partial results beyond which contexts are not divided either.</summary>
    private const long MaxPartialBytes = 256L << 20;

    /// <summary>The fewest keys of a split: a row has a slot for partial results for each so many of its tokens.</summary>
    private const int SlotTokens = GpuTensorAttention.SpanTokens;

    private const int HeaderBytes = 16, Alignment = 16, MinCounterBytes = 1024;

    private readonly GpuBuffer _descriptor = new(device.Memory), _partials = new(device.Memory), _counters = new(device.Memory), _maps = new(device.Memory);
    private readonly List<GpuAttentionPlan> _plans = [];
    private byte[] _bytes = [];
    private Batch? _batch;
    private long _slots, _singleSlots;
    private int _maxTokens, _contextLength;

    /// <summary>Whether every chunk is one token, so that the step can be recorded and repeated.</summary>
    public bool IsDecode { get; private set; }

    /// <summary>Rows that launches are sized for; kernels leave those alone that are beyond the batch.</summary>
    /// <exception cref="InvalidOperationException">No step has begun.</exception>
    public int Capacity { get => _batch is null ? throw new InvalidOperationException("No step has begun.") : field; private set; }

    /// <summary>Rows that there is room for.</summary>
    public int MaxRows => Math.Max(_maxTokens, Capacity);

    /// <summary>Rows of logits that launches are sized for; 0: none are wanted.</summary>
    public int LogitCapacity => IsDecode ? Capacity : _batch!.LogitRows.Length;

    /// <summary>Address of the number of tokens (int).</summary>
    public nint Count => _descriptor.Address;

    /// <summary>Address of the number of rows of logits (int).</summary>
    public nint LogitCount => _descriptor.Address + sizeof(int);

    /// <summary>The parts of a long step, of whole blocks of operands but for the last rows; none of others.</summary>
    public IReadOnlyList<RowPart> Parts { get; private set; } = [];

    /// <summary>Address of the number of tokens of a part (int).</summary>
    public nint PartCount(int index) => _descriptor.Address + ((2 + index) * sizeof(int));

    /// <summary>Address of the array of <see cref="GpuRow"/>.</summary>
    public nint Rows => _descriptor.Address + HeaderBytes;

    /// <summary>Address of the array of the rows whose logits are wanted (int).</summary>
    public nint LogitRows => Rows + (nint)((long)Capacity * GpuRow.Bytes);

    /// <summary>Whether keys and values of chunks of several tokens can be copied by <see cref="GpuRow.Map"/>.</summary>
    public bool ChunksHaveMaps { get; private set; }

    /// <summary>Address of the partial results of attention; see <see cref="AttentionArguments.Partials"/>.</summary>
    public nint Partials => _partials.Address;

    /// <summary>Address of the counters of attention; see <see cref="AttentionArguments.Counters"/>.</summary>
    public nint Counters => _counters.Address;

    /// <summary>How often some of the addresses changed otherwise than with the capacity.</summary>
    public int Moves => _descriptor.Moves + _partials.Moves + _counters.Moves;

    /// <summary>Says what the largest batch and the longest sequence will be, so that room is made once.</summary>
    public void Limit(int maxTokens, int contextLength) => (_maxTokens, _contextLength) = (maxTokens, contextLength);

    /// <summary>
    /// Takes a batch. Steps of single tokens get room for as many rows as <see cref="GpuRecordings.CapacityFor"/> says, or for the most that there can be, others for those that they have.
    /// </summary>
    public void Begin(Batch batch)
    {
        bool decode = true;
        foreach (BatchChunk chunk in batch.Chunks) decode &= chunk.Length == 1;
        int bucket = GpuRecordings.CapacityFor(batch.TokenCount);
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
        if (!IsDecode || _contextLength == 0) return (long)ItemsOf(plan) * plan.HeadGroups;
        long whole = (long)Capacity * plan.HeadGroups, most = whole * plan.Splits(0, _contextLength);
        return Math.Max(whole, Math.Min(most, (long)WarpsPerMultiprocessor * device.Multiprocessors / plan.WarpsPerUnit));
    }

    /// <summary>Whether the batch has rows of the plan; true where launches must not depend on it.</summary>
    public bool HasRows(GpuAttentionPlan plan) => IsDecode ? plan.Rows != GpuAttentionRows.Chunks : ItemsOf(plan) > 0;

    /// <summary>Groups of a kernel that has one for each multiprocessor, or, where there are never so many units, fewer.</summary>
    public int GroupsOf(GpuAttentionPlan plan)
    {
        long units = IsDecode && _contextLength != 0 ? (long)Capacity * plan.HeadGroups * plan.Splits(0, _contextLength) : (long)ItemsOf(plan) * plan.HeadGroups;
        return (int)Math.Max(1, Math.Min(units, device.Multiprocessors));
    }

    /// <summary>Items of the plan's work list for the batch.</summary>
    public int ItemsOf(GpuAttentionPlan plan) =>
        MemoryMarshal.Read<int>(_bytes.AsSpan((int)(WorkOf(plan) - _descriptor.Address) + sizeof(int)));

    public void Dispose()
    {
        _descriptor.Dispose();
        _partials.Dispose();
        _counters.Dispose();
        _maps.Dispose();
    }

    private void Begin(Batch batch, bool decode, int capacity)
    {
        _batch = batch;
        IsDecode = decode;
        Capacity = Math.Max(capacity, 1);
        Parts = decode ? [] : Divide(Capacity);
        _slots = 0;
        _singleSlots = 0;
        foreach (BatchChunk chunk in batch.Chunks)
        {
            for (int i = 0; i < chunk.Length; i++) _slots += Slots(chunk.FirstPosition + i);
            if (chunk.Length == 1) _singleSlots += Slots(chunk.FirstPosition);
        }
        foreach (GpuAttentionPlan plan in _plans) ReserveCounters(Capacity, plan);
        Send();
    }

    /// <summary>Two parts, nearly halves, if blocks of the largest size are to be had of both.</summary>
    private static RowPart[] Divide(int rows)
    {
        int first = Math.Max((rows + CoreTiles.MaxBlockRows) / (2 * CoreTiles.MaxBlockRows), 1) * CoreTiles.MaxBlockRows;
        return CoreTiles.OperandBlockRows(rows - first) == CoreTiles.MaxBlockRows ? [new RowPart(0, 0, first), new RowPart(1, first, rows - first)] : [];
    }

    private void ReserveCounters(int tokens, GpuAttentionPlan plan)
    {
        // More than the buffer begins with, so that all of it is cleared.
        long bytes = Math.Max((long)tokens * plan.HeadGroups * AttentionColumns.TeamWarps * sizeof(int), MinCounterBytes);
        if (_counters.Reserve(bytes)) device.Clear(_counters.Address, bytes);
    }

    private void Send()
    {
        SendMaps();
        int bytes = WorkOffset(_plans.Count);
        if (_bytes.Length < bytes) _bytes = new byte[(int)BitOperations.RoundUpToPowerOf2((uint)bytes)];
        MemoryMarshal.Write(_bytes, _batch!.TokenCount);
        MemoryMarshal.Write(_bytes.AsSpan(sizeof(int)), _batch.LogitRows.Length);
        foreach (RowPart part in Parts) MemoryMarshal.Write(_bytes.AsSpan((2 + part.Index) * sizeof(int)), Math.Clamp(_batch.TokenCount - part.First, 0, part.Count));
        WriteRows(MemoryMarshal.Cast<byte, GpuRow>(_bytes.AsSpan(HeaderBytes))[..Capacity]);
        MemoryMarshal.AsBytes(_batch.LogitRows).CopyTo(_bytes.AsSpan(HeaderBytes + (Capacity * GpuRow.Bytes)));
        for (int i = 0; i < _plans.Count; i++) WriteWork(_plans[i], _bytes.AsSpan(WorkOffset(i)));
        _descriptor.Reserve(Math.Max(bytes, (long)_maxTokens * (bytes - HeaderBytes) / Capacity + HeaderBytes + Alignment));
        device.Upload(_descriptor.Address, _bytes.AsSpan(0, bytes));
    }

    /// <summary>
    /// Sends a tensor map for each chunk of several tokens, where kernels want them. Boxes are 64 tokens by 64 elements of a head; what is behind the chunk's last
    /// token and the head's last element is zero: what lies there in memory may not be a number.
    /// </summary>
    private void SendMaps()
    {
        ChunksHaveMaps = false;
        int headDim = _plans.Find(plan => plan.Rows == GpuAttentionRows.Chunks).HeadDim;
        if (IsDecode || kvElementBytes != sizeof(ushort) || headDim == 0) return;
        byte[] maps = new byte[_batch!.Chunks.Length * CudaTensorMap.Bytes];
        for (int i = 0; i < _batch.Chunks.Length; i++)
        {
            BatchChunk chunk = _batch.Chunks[i];
            if (chunk.Length == 1) continue;
            if (chunk.Kv.PageTable != 0) return;
            CudaTensorMap map = new()
            {
                Address = chunk.Kv.Address,
                Element = CudaTensorElement.Float16,
                Sizes = [headDim, chunk.Kv.TokenBytes / (headDim * sizeof(ushort)), chunk.FirstPosition + chunk.Length],
                Strides = [headDim * sizeof(ushort), chunk.Kv.TokenBytes],
                Box = [64, 1, AttentionScores.TileKeys],
                Swizzle = CudaTensorSwizzle.Bytes128,
            };
            device.EncodeTensorMap(map, maps.AsSpan(i * CudaTensorMap.Bytes));
        }
        if (maps.Length == 0) return;
        ChunksHaveMaps = true;
        _maps.Reserve(maps.Length);
        device.Upload(_maps.Address, maps);
    }

    private void WriteRows(Span<GpuRow> rows)
    {
        // Single tokens first: where they alone leave partial results there is room for fewer.
        long single = 0, other = _singleSlots;
        int number = 0;
        foreach (BatchChunk chunk in _batch!.Chunks)
        {
            long map = ChunksHaveMaps ? _maps.Address + ((long)number * CudaTensorMap.Bytes) : 0;
            number++;
            ref long slot = ref chunk.Length == 1 ? ref single : ref other;
            for (int i = 0; i < chunk.Length; i++)
            {
                int row = chunk.FirstRow + i;
                rows[row] = new GpuRow
                {
                    Kv = chunk.Kv.Address,
                    PageTable = chunk.Kv.PageTable,
                    TokenBytes = chunk.Kv.TokenBytes,
                    PageShift = PageShift(chunk.Kv),
                    Position = chunk.FirstPosition + i,
                    TokenId = _batch.TokenIds[row],
                    PartialStart = (int)slot,
                    RotaryLength = chunk.Kv.RotaryLength,
                    Map = map,
                };
                slot += Slots(chunk.FirstPosition + i);
            }
        }
    }

    private void WriteWork(GpuAttentionPlan plan, Span<byte> list)
    {
        int tileCount = 0, items = 0;
        foreach (BatchChunk chunk in _batch!.Chunks)
        {
            if (plan.Takes(chunk)) tileCount += (chunk.Length + plan.RowsPerTile - 1) / plan.RowsPerTile;
        }
        Span<byte> tiles = list[GpuAttentionWork.HeaderBytes..];
        if (plan.Rows == GpuAttentionRows.Singles) items = WriteSingles(plan, MemoryMarshal.Cast<byte, GpuSingle>(tiles)[..tileCount]);
        else items = WriteTiles(plan, MemoryMarshal.Cast<byte, GpuTile>(tiles)[..tileCount]);
        MemoryMarshal.Write(list, tileCount);
        MemoryMarshal.Write(list[sizeof(int)..], items);
    }

    /// <summary>Returns how many items there are.</summary>
    private int WriteTiles(GpuAttentionPlan plan, Span<GpuTile> tiles)
    {
        bool divided = plan.Rows == GpuAttentionRows.All && IsDivided(plan, tiles.Length);
        int tile = 0, items = 0;
        foreach (BatchChunk chunk in _batch!.Chunks)
        {
            for (int i = 0; i < chunk.Length && plan.Takes(chunk); i += plan.RowsPerTile)
            {
                int rows = Math.Min(plan.RowsPerTile, chunk.Length - i), own = divided ? plan.Splits(chunk.FirstPosition + i, rows) : 1;
                int first = plan.Rows == GpuAttentionRows.Chunks ? chunk.FirstPosition + i : items;
                tiles[tile++] = new GpuTile { FirstRow = chunk.FirstRow + i, Rows = rows, FirstItem = first, Items = own };
                items += own;
            }
        }
        // Those that take longest come first.
        if (plan.Rows == GpuAttentionRows.Chunks) tiles.Sort((x, y) => (y.FirstItem + y.Rows).CompareTo(x.FirstItem + x.Rows));
        return items;
    }

    /// <inheritdoc cref="WriteTiles"/>
    private int WriteSingles(GpuAttentionPlan plan, Span<GpuSingle> singles)
    {
        int single = 0, items = 0, share = KeysPerRun(plan);
        long slot = 0;
        foreach (BatchChunk chunk in _batch!.Chunks)
        {
            if (!plan.Takes(chunk)) continue;
            int position = chunk.FirstPosition, first = plan.FirstKey(position), keys = GpuSplits.RoundUp(share, position), own = plan.Runs(position, keys);
            singles[single++] = new GpuSingle
            {
                Kv = chunk.Kv.Address,
                PageTable = chunk.Kv.PageTable,
                TokenBytes = chunk.Kv.TokenBytes,
                PageShift = PageShift(chunk.Kv),
                Position = position,
                Row = chunk.FirstRow,
                FirstSlot = (int)slot - GpuSplits.Of(first),
                FirstKey = first,
                Keys = keys,
                FirstRun = first / keys,
                FirstItem = items,
                Items = own,
            };
            slot += Slots(position);
            items += own;
        }
        return items;
    }

    /// <summary>
    /// Keys of a run of single tokens, so that the team that has most to do has as little as can be; more than there are where there is no room for partial
    /// results.
    /// </summary>
    private int KeysPerRun(GpuAttentionPlan plan)
    {
        const int Undivided = int.MaxValue / 2;
        long bytes = _singleSlots * plan.SlotBytes, keys = 0, rows = 0, teams = (long)GpuDecodeAttention.Teams * Math.Max(device.Multiprocessors, 1);
        if (bytes > (_contextLength == 0 ? MaxPartialBytes : _partials.Bytes)) return Undivided;
        int last = 0;
        foreach (BatchChunk chunk in _batch!.Chunks)
        {
            if (chunk.Length != 1) continue;
            keys += plan.Keys(chunk.FirstPosition);
            last = Math.Max(last, chunk.FirstPosition);
            rows++;
        }
        if (rows == 0) return Undivided;
        // Where there are few rows, somewhat longer runs may spare each a run of few keys, and all of them a round.
        int best = Undivided, parts = rows * plan.HeadGroups <= 4 * teams ? 4 : 0;
        long least = Rounds(rows * plan.HeadGroups) * plan.Keys(last);
        for (int runs = 1; runs <= MostRuns; runs *= 2)
        {
            for (int part = 0; part <= parts; part++)
            {
                int share = (int)(keys * plan.HeadGroups * (16 + part) / (16 * teams * runs)) + 1;
                long cost = Rounds(Runs(plan, share) * plan.HeadGroups) * (GpuSplits.RoundUp(share, last) + KeysOfOneRun);
                if (cost < least) (best, least) = (share, cost);
            }
        }
        _partials.Reserve(bytes);
        return best;

        long Rounds(long units) => (units + teams - 1) / teams;
    }

    private long Runs(GpuAttentionPlan plan, int keys)
    {
        long runs = 0;
        foreach (BatchChunk chunk in _batch!.Chunks)
        {
            if (chunk.Length == 1) runs += plan.Runs(chunk.FirstPosition, GpuSplits.RoundUp(keys, chunk.FirstPosition));
        }
        return runs;
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
        if (_contextLength == 0 || plan.Rows == GpuAttentionRows.Chunks) return 0;
        if (plan.Rows == GpuAttentionRows.Singles) return Math.Min(MaxPartialBytes, (long)_maxTokens * Slots(_contextLength - 1) * plan.SlotBytes);
        long tiles = ((long)WarpsPerMultiprocessor * device.Multiprocessors / (plan.HeadGroups * plan.WarpsPerUnit)) + 1;
        return Math.Min(MaxPartialBytes, Math.Min(tiles, _maxTokens) * Slots(_contextLength - 1) * plan.SlotBytes);
    }

    private int WorkOffset(int plan)
    {
        long offset = HeaderBytes + ((long)Capacity * (GpuRow.Bytes + sizeof(int)));
        offset = (offset + Alignment - 1) / Alignment * Alignment;
        for (int i = 0; i < plan; i++)
        {
            int tileBytes = _plans[i].Rows == GpuAttentionRows.Singles ? GpuSingle.Bytes : GpuAttentionWork.TileBytes;
            offset += GpuAttentionWork.HeaderBytes + ((long)Capacity * tileBytes);
        }
        return checked((int)offset);
    }

    private static int PageShift(KvView kv) => kv.PageTable == 0 ? 0 : BitOperations.Log2((uint)kv.TokensPerPage);

    private static int Slots(int position) => (position / SlotTokens) + 1;
}
