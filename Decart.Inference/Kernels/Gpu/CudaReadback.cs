using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Pinned memory, and an event behind the copy to it.</summary>
internal sealed class CudaReadback(CudaContext context, CudaStream stream, int bytes) : GpuReadback(bytes)
{
    private readonly CudaPinnedMemory _memory = new(context, bytes);
    private readonly CudaEvent _done = new(context);
    private int _count;

    public override void Start(nint source, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, Bytes);
        _count = bytes;
        stream.Copy(_memory.Address, source, bytes);
        _done.Record(stream);
    }

    public override ReadOnlySpan<byte> Wait()
    {
        _done.Synchronize();
        return _memory.Span[.._count];
    }

    public override void Dispose()
    {
        _done.Synchronize();
        _done.Dispose();
        _memory.Dispose();
    }
}
