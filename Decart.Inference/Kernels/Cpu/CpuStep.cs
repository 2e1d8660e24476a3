namespace Decart.Inference.Kernels.Cpu;

/// <summary>A chunk of the batch as the kernels' threads see it.</summary>
/// <param name="Kv">Token 0 of the sequence's keys and values.</param>
/// <param name="TokenStride">Elements between two tokens there.</param>
/// <param name="FirstRow">See <see cref="BatchChunk"/>.</param>
/// <param name="Length">See <see cref="BatchChunk"/>.</param>
/// <param name="FirstPosition">See <see cref="BatchChunk"/>.</param>
internal readonly unsafe record struct CpuChunk(nint Kv, long TokenStride, int FirstRow, int Length, int FirstPosition);

/// <summary>The batch of the current step in memory that the threads may read. Reused from step to step.</summary>
internal sealed unsafe class CpuStep : IDisposable
{
    private readonly CpuBuffer<CpuChunk> _chunks = new(16);
    private readonly CpuBuffer<nint> _tokens = new(64);
    private Batch? _batch;

    /// <summary>Counts the steps: what was computed for one step is out of date in the next.</summary>
    public long Number { get; private set; }

    public Batch Batch => _batch ?? throw new InvalidOperationException("No step has begun.");

    public CpuChunk* Chunks => _chunks.Pointer;

    public int ChunkCount { get; private set; }

    /// <summary>For each row of the batch where the keys and values of its token begin (layer 0).</summary>
    public nint* Tokens => _tokens.Pointer;

    public void Begin(Batch batch)
    {
        _batch = batch;
        Number++;
        ChunkCount = batch.Chunks.Length;
        _chunks.Reserve(ChunkCount);
        _tokens.Reserve(batch.TokenCount);
        for (int i = 0; i < ChunkCount; i++)
        {
            BatchChunk chunk = batch.Chunks[i];
            long stride = chunk.Kv.Layout.TokenStride;
            nint address = chunk.Kv.Address;
            Chunks[i] = new CpuChunk(address, stride, chunk.FirstRow, chunk.Length, chunk.FirstPosition);
            for (int token = 0; token < chunk.Length; token++)
            {
                Tokens[chunk.FirstRow + token] = address + (nint)((chunk.FirstPosition + token) * stride * sizeof(float));
            }
        }
    }

    public void Dispose()
    {
        _chunks.Dispose();
        _tokens.Dispose();
    }
}
