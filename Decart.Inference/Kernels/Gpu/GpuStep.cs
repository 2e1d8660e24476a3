using System.Numerics;
using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The batch of the current step in the device's memory. Reused from step to step.</summary>
internal sealed class GpuStep(IGpuDevice device) : IDisposable
{
    private readonly GpuBuffer _rows = new(device.Memory);
    private readonly GpuBuffer _indices = new(device.Memory);
    private GpuRow[] _descriptors = [];
    private readonly Dictionary<int, Tiles> _tiles = [];
    private Batch? _batch;
    private long _number;

    /// <summary>Number of rows of the batch.</summary>
    /// <exception cref="InvalidOperationException">No step has begun.</exception>
    public int Count => _batch?.TokenCount ?? throw new InvalidOperationException("No step has begun.");

    /// <summary>Address of the array of <see cref="GpuRow"/>.</summary>
    public nint Rows => _rows.Address;

    /// <summary>The position of the batch's last token, in whichever sequence that is.</summary>
    public int MaxPosition { get; private set; }

    public void Begin(Batch batch)
    {
        _batch = batch;
        _number++;
        MaxPosition = 0;
        if (_descriptors.Length < batch.TokenCount) _descriptors = new GpuRow[(int)BitOperations.RoundUpToPowerOf2((uint)batch.TokenCount)];
        foreach (BatchChunk chunk in batch.Chunks)
        {
            for (int i = 0; i < chunk.Length; i++)
            {
                int row = chunk.FirstRow + i;
                _descriptors[row] = new GpuRow
                {
                    Kv = chunk.Kv.Address,
                    PageTable = chunk.Kv.PageTable,
                    TokenBytes = chunk.Kv.TokenStride * GpuKernels.KvBytes,
                    PageShift = chunk.Kv.PageTable == 0 ? 0 : BitOperations.Log2((uint)chunk.Kv.TokensPerPage),
                    Position = chunk.FirstPosition + i,
                    TokenId = batch.TokenIds[row],
                };
            }
            MaxPosition = Math.Max(MaxPosition, chunk.FirstPosition + chunk.Length - 1);
        }
        _rows.Reserve((long)batch.TokenCount * GpuRow.Bytes);
        device.Upload(_rows.Address, MemoryMarshal.AsBytes(_descriptors.AsSpan(0, batch.TokenCount)));
    }

    /// <summary>Tiles of at most that many rows, each of one chunk: an array of (first row, rows) and its length.</summary>
    public (nint Address, int Count) TilesOf(int rows)
    {
        if (!_tiles.TryGetValue(rows, out Tiles? tiles)) _tiles.Add(rows, tiles = new Tiles(new GpuBuffer(device.Memory)));
        if (tiles.Step == _number) return (tiles.Buffer.Address, tiles.Items.Count);
        tiles.Step = _number;
        tiles.Items.Clear();
        foreach (BatchChunk chunk in _batch!.Chunks)
        {
            for (int i = 0; i < chunk.Length; i += rows) tiles.Items.Add((chunk.FirstRow + i, Math.Min(rows, chunk.Length - i)));
        }
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(tiles.Items));
        tiles.Buffer.Reserve(bytes.Length);
        device.Upload(tiles.Buffer.Address, bytes);
        return (tiles.Buffer.Address, tiles.Items.Count);
    }

    /// <summary>Sends row numbers; returns their address, valid until the next call.</summary>
    public nint SendIndices(ReadOnlySpan<int> indices)
    {
        _indices.Reserve((long)indices.Length * sizeof(int));
        device.Upload(_indices.Address, MemoryMarshal.AsBytes(indices));
        return _indices.Address;
    }

    public void Dispose()
    {
        _rows.Dispose();
        _indices.Dispose();
        foreach (Tiles tiles in _tiles.Values) tiles.Buffer.Dispose();
    }

    private sealed class Tiles(GpuBuffer buffer)
    {
        public GpuBuffer Buffer => buffer;

        public List<(int FirstRow, int Rows)> Items { get; } = [];

        /// <summary>The step that they are of.</summary>
        public long Step { get; set; }
    }
}
