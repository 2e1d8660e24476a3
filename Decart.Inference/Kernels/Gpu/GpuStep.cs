using System.Numerics;
using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The batch of the current step in the device's memory. Reused from step to step.</summary>
internal sealed class GpuStep(IGpuDevice device) : IDisposable
{
    private readonly GpuBuffer _rows = new(device.Memory);
    private readonly GpuBuffer _indices = new(device.Memory);
    private GpuRow[] _descriptors = [];
    private Batch? _batch;

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
    }
}
