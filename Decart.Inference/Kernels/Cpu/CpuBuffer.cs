using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// Elements in native memory, 64-byte aligned and not initialised. Freed on disposal, or by the finaliser when the owner
/// forgot; whoever works on <see cref="Pointer"/> keeps the owner reachable.
/// </summary>
internal sealed unsafe class CpuBuffer<T> : IDisposable
    where T : unmanaged
{
    private const int Alignment = 64;

    private T* _pointer;

    /// <summary>Allocates the memory.</summary>
    /// <param name="length">Number of elements, at least 0.</param>
    /// <exception cref="OverflowException">The size in bytes exceeds the address space.</exception>
    /// <exception cref="OutOfMemoryException">There is not that much memory.</exception>
    public CpuBuffer(long length)
    {
        _pointer = Allocate(length);
        Length = length;
    }

    ~CpuBuffer() => Free();

    public long Length { get; private set; }

    public T* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_pointer == null, this);
            return _pointer;
        }
    }

    /// <summary>Makes room for at least <paramref name="length"/> elements; when that needs other memory the content is lost.</summary>
    public void Reserve(long length)
    {
        ObjectDisposedException.ThrowIf(_pointer == null, this);
        if (length <= Length) return;
        T* larger = Allocate(length);
        Free();
        _pointer = larger;
        Length = length;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private static T* Allocate(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return (T*)NativeMemory.AlignedAlloc((nuint)checked((nint)Math.Max(length, 1) * sizeof(T)), Alignment);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_pointer);
        _pointer = null;
    }
}
