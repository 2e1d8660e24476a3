using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

/// <summary>
/// A queue of work on a GPU, done in order. One thread at a time queues; the context must be disposed of later.
/// </summary>
internal sealed class CudaStream : SafeHandle
{
    /// <summary><c>CU_STREAM_NON_BLOCKING</c>.</summary>
    private const uint NonBlocking = 1;

    private readonly CudaContext _context;

    /// <param name="context">Where it is.</param>
    /// <param name="independent">
    /// Whether it has nothing to do with the default stream, where memory is copied without one; otherwise work of either waits for what was queued on
    /// the other before.
    /// </param>
    public CudaStream(CudaContext context, bool independent = false)
        : base(0, ownsHandle: true)
    {
        _context = context;
        context.MakeCurrent();
        CudaDriver.Check(CudaDriver.CreateStream(out nint stream, independent ? NonBlocking : 0), stream, "creating a stream");
        SetHandle(stream);
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>
    /// Queues a copy. Memory of the host that is not pinned has been read when this returns, and is written only after <see cref="Synchronize"/>.
    /// </summary>
    public void Copy(nint destination, nint source, long bytes)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.StartCopy(destination, source, (nuint)bytes, this), $"a copy of {bytes} bytes");
    }

    /// <summary>Queues filling memory with a byte.</summary>
    public void Fill(nint destination, byte value, long bytes)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.StartFill(destination, value, (nuint)bytes, this), $"filling {bytes} bytes");
    }

    /// <summary>Lets what is queued from here on begin when an event is passed, of this stream or of another one.</summary>
    public void WaitFor(CudaEvent passed)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.WaitForEvent(this, passed, 0), "having a stream wait for an event");
    }

    /// <summary>Waits until all that was queued is done. What kernels did wrong is reported here or by any later call.</summary>
    public void Synchronize()
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.SynchronizeStream(this), "waiting for the work on a stream");
    }

    /// <summary>
    /// Calls <paramref name="queue"/>, whose work on this stream is not done but becomes a graph. Only kernels, fills and copies of pinned or device
    /// memory can.
    /// </summary>
    public CudaGraph Capture(Action queue)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.BeginCapture(this, CudaCaptureMode.ThreadLocal), "capturing a graph");
        nint graph;
        try
        {
            queue();
        }
        catch
        {
            if (CudaDriver.EndCapture(this, out graph) == CudaResult.Success && graph != 0) _ = CudaDriver.DestroyGraph(graph);
            throw;
        }
        CudaDriver.Check(CudaDriver.EndCapture(this, out graph), graph, "ending the capture of a graph");
        return new CudaGraph(_context, graph);
    }

    protected override bool ReleaseHandle() => CudaDriver.DestroyStream(handle) == CudaResult.Success;
}
