using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Plain memory of the device, of undefined content, 256-byte aligned. Whoever launches kernels on it keeps it undisposed until they are done.
/// </summary>
internal sealed class GpuBuffer : IDisposable
{
    private readonly IDeviceMemory _memory;
    private nint _address;

    /// <exception cref="OutOfMemoryException">There is not that much memory.</exception>
    public GpuBuffer(IDeviceMemory memory, long bytes = 0)
    {
        _memory = memory;
        Bytes = Math.Max(bytes, 16);
        _address = memory.Allocate(Bytes);
    }

    public nint Address => _address != 0 ? _address : throw new ObjectDisposedException(nameof(GpuBuffer));

    public long Bytes { get; private set; }

    /// <summary>How often <see cref="Reserve"/> took other memory.</summary>
    public int Moves { get; private set; }

    /// <summary>Makes room for at least that many bytes; when that needs other memory the content is lost, and true is returned.</summary>
    public bool Reserve(long bytes)
    {
        if (_address != 0 && bytes <= Bytes) return false;
        Dispose();
        Bytes = bytes;
        _address = _memory.Allocate(bytes);
        Moves++;
        return true;
    }

    public void Dispose()
    {
        if (_address != 0) _memory.Free(_address);
        _address = 0;
    }
}
