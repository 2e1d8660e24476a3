using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

/// <summary>Memory of the host that the GPU copies from and to by itself. Must not be disposed of during a copy.</summary>
internal sealed unsafe class CudaPinnedMemory : SafeHandle
{
    public CudaPinnedMemory(CudaContext context, int bytes)
        : base(0, ownsHandle: true)
    {
        context.MakeCurrent();
        CudaDriver.Check(CudaDriver.AllocatePinned(out nint address, (nuint)bytes, 0), address, $"allocating {bytes} bytes of pinned memory");
        SetHandle(address);
        Bytes = bytes;
    }

    public override bool IsInvalid => handle == 0;

    public int Bytes { get; }

    public nint Address => !IsClosed ? handle : throw new ObjectDisposedException(nameof(CudaPinnedMemory));

    public Span<byte> Span => new((void*)Address, Bytes);

    protected override bool ReleaseHandle() => CudaDriver.FreePinned(handle) == CudaResult.Success;
}
