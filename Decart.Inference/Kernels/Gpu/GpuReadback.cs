namespace Decart.Inference.Kernels.Gpu;

/// <summary>A place on the host for a copy that is waited for later. Used by the device's thread and disposed of before the device.</summary>
internal abstract class GpuReadback(int bytes) : IDisposable
{
    /// <summary>The most bytes of one copy.</summary>
    public int Bytes { get; } = bytes;

    /// <summary>Starts a copy from the device. The one before may be overwritten at once.</summary>
    /// <param name="source">Address on the device.</param>
    /// <param name="bytes">At most <see cref="Bytes"/>.</param>
    public abstract void Start(nint source, int bytes);

    /// <summary>Waits for the copy, not for what was started after it; returns its bytes, valid until the next copy.</summary>
    public abstract ReadOnlySpan<byte> Wait();

    public abstract void Dispose();
}
