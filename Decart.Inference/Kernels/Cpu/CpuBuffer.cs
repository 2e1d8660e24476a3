using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Float32 elements in native memory, 64-byte aligned and not initialised. Freed on disposal, or by the finaliser when the owner
/// forgot; whoever works on <see cref="Pointer"/> keeps the owner reachable.
/// </summary>
internal sealed unsafe class CpuBuffer : IDisposable
{
    private const int Alignment = 64;

    private float* _pointer;

    /// <summary>Allocates the memory.</summary>
    /// <param name="length">Number of elements, at least 0.</param>
    /// <exception cref="OverflowException">The size in bytes exceeds the address space.</exception>
    /// <exception cref="OutOfMemoryException">There is not that much memory.</exception>
    public CpuBuffer(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        _pointer = (float*)NativeMemory.AlignedAlloc((nuint)checked((nint)Math.Max(length, 1) * sizeof(float)), Alignment);
        Length = length;
    }

    ~CpuBuffer() => Free();

    public long Length { get; }

    public float* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_pointer == null, this);
            return _pointer;
        }
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_pointer);
        _pointer = null;
    }
}
