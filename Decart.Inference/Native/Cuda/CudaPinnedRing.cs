namespace Decart.Inference.Native.Cuda;

/// <summary>Pinned buffers that copies to the GPU go through in turn, so that the host fills one while others are under way. Used by one thread.</summary>
internal sealed class CudaPinnedRing : IDisposable
{
    /// <summary>Bytes that one thread copies at a time: the pages of a mapped file come faster to several.</summary>
    private const int PieceBytes = 1 << 20;

    private readonly (CudaPinnedMemory Memory, CudaEvent Free)[] _buffers;
    private int _next;

    public CudaPinnedRing(CudaContext context, int count, int bytes)
    {
        Bytes = bytes;
        _buffers = [.. Enumerable.Range(0, count).Select(_ => (new CudaPinnedMemory(context, bytes), new CudaEvent(context)))];
    }

    /// <summary>The most bytes of one copy.</summary>
    public int Bytes { get; }

    /// <summary>Queues a copy; the source may change when this returns. Waits while all buffers are under way.</summary>
    public void Copy(CudaStream stream, nint destination, ReadOnlySpan<byte> source)
    {
        (CudaPinnedMemory memory, CudaEvent free) = _buffers[_next];
        _next = (_next + 1) % _buffers.Length;
        free.Synchronize();
        Fill(memory, source);
        stream.Copy(destination, memory.Address, source.Length);
        free.Record(stream);
    }

    private static unsafe void Fill(CudaPinnedMemory memory, ReadOnlySpan<byte> source)
    {
        if (source.Length <= PieceBytes)
        {
            source.CopyTo(memory.Span);
            return;
        }
        fixed (byte* address = source)
        {
            (nint from, int length) = ((nint)address, source.Length);
            Parallel.For(0, (length + PieceBytes - 1) / PieceBytes, piece =>
            {
                int offset = piece * PieceBytes, bytes = Math.Min(PieceBytes, length - offset);
                new ReadOnlySpan<byte>((void*)(from + offset), bytes).CopyTo(memory.Span[offset..]);
            });
        }
    }

    /// <summary>To be called when all copies are done.</summary>
    public void Dispose()
    {
        foreach ((CudaPinnedMemory memory, CudaEvent free) in _buffers)
        {
            memory.Dispose();
            free.Dispose();
        }
    }
}
