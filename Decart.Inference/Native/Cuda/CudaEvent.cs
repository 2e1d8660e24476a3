using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

/// <summary>A place in the work of a stream, to wait for or to measure time with.</summary>
internal sealed class CudaEvent : SafeHandle
{
    private readonly CudaContext _context;

    public CudaEvent(CudaContext context)
        : base(0, ownsHandle: true)
    {
        _context = context;
        context.MakeCurrent();
        CudaDriver.Check(CudaDriver.CreateEvent(out nint @event, 0), @event, "creating an event");
        SetHandle(@event);
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>Puts the event behind all that is queued on the stream.</summary>
    public void Record(CudaStream stream)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.RecordEvent(this, stream), "recording an event");
    }

    /// <summary>Waits until the work before the event is done; returns at once when it was never recorded.</summary>
    public void Synchronize()
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.SynchronizeEvent(this), "waiting for an event");
    }

    /// <summary>Time that the GPU took from another event to this one; both must have been passed.</summary>
    public TimeSpan Since(CudaEvent start)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.MeasureTime(out float milliseconds, start, this), "measuring the time between events");
        return TimeSpan.FromMilliseconds(milliseconds);
    }

    protected override bool ReleaseHandle() => CudaDriver.DestroyEvent(handle) == CudaResult.Success;
}
