using System.Numerics;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>A chunk of the batch as the kernels' threads see it.</summary>
/// <param name="Kv">See <see cref="BatchChunk"/>.</param>
/// <param name="FirstRow">See <see cref="BatchChunk"/>.</param>
/// <param name="Length">See <see cref="BatchChunk"/>.</param>
/// <param name="FirstPosition">See <see cref="BatchChunk"/>.</param>
internal readonly unsafe record struct CpuChunk(KvView Kv, int FirstRow, int Length, int FirstPosition)
{
    /// <summary>The tokens that the sequence has, those of the chunk included.</summary>
    public int EndPosition => FirstPosition + Length;

    /// <summary>
    /// Finds where the keys and values of consecutive tokens begin (layer 0), looking each page up once. Addresses of tokens beyond the sequence's
    /// last are those of the last: good to prefetch, not to read.
    /// </summary>
    /// <param name="first">Position of the first, which there is.</param>
    /// <param name="count">Number of addresses.</param>
    /// <param name="addresses">Where they go.</param>
    public void Locate(int first, int count, nint* addresses)
    {
        nint tokenBytes = (nint)Kv.TokenBytes;
        int end = Math.Min(count, EndPosition - first), i = 0;
        while (i < end)
        {
            nint address = Kv.Address + ((first + i) * tokenBytes);
            int endOfRun = end;
            if (Kv.PageTable != 0)
            {
                int tokenOfPage = (first + i) & (Kv.TokensPerPage - 1);
                address = ((nint*)Kv.PageTable)[(first + i) >> BitOperations.Log2((uint)Kv.TokensPerPage)] + (tokenOfPage * tokenBytes);
                endOfRun = Math.Min(end, i + Kv.TokensPerPage - tokenOfPage);
            }
            for (; i < endOfRun; i++, address += tokenBytes) addresses[i] = address;
        }
        for (; i < count; i++) addresses[i] = addresses[end - 1];
    }
}

/// <summary>The batch of the current step in memory that the threads may read. Reused from step to step.</summary>
internal sealed unsafe class CpuStep : IDisposable
{
    private readonly CpuBuffer<CpuChunk> _chunks = new(16);
    private readonly CpuBuffer<nint> _tokens = new(64);
    private readonly CpuBuffer<int> _logitRows = new(64);
    private Batch? _batch;

    /// <summary>Counts the steps: what was computed for one step is out of date in the next.</summary>
    public long Number { get; private set; }

    public Batch Batch => _batch ?? throw new InvalidOperationException("No step has begun.");

    public CpuChunk* Chunks => _chunks.Pointer;

    public int ChunkCount { get; private set; }

    /// <summary>For each row of the batch where the keys and values of its token begin (layer 0).</summary>
    public nint* Tokens => _tokens.Pointer;

    /// <summary>See <see cref="Batch.LogitRows"/>.</summary>
    public int* LogitRows => _logitRows.Pointer;

    public void Begin(Batch batch)
    {
        _batch = batch;
        Number++;
        ChunkCount = batch.Chunks.Length;
        _chunks.Reserve(ChunkCount);
        _tokens.Reserve(batch.TokenCount);
        _logitRows.Reserve(batch.LogitRows.Length);
        batch.LogitRows.CopyTo(new Span<int>(LogitRows, batch.LogitRows.Length));
        for (int i = 0; i < ChunkCount; i++)
        {
            BatchChunk chunk = batch.Chunks[i];
            CpuChunk own = new(chunk.Kv, chunk.FirstRow, chunk.Length, chunk.FirstPosition);
            Chunks[i] = own;
            own.Locate(chunk.FirstPosition, chunk.Length, Tokens + chunk.FirstRow);
        }
    }

    public void Dispose()
    {
        _chunks.Dispose();
        _tokens.Dispose();
        _logitRows.Dispose();
    }
}
