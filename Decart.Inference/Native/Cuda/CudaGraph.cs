using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

/// <summary>Work that was captured from a stream, ready to be queued with one call. Must not be disposed of while it runs.</summary>
internal sealed class CudaGraph : SafeHandle
{
    private readonly CudaContext _context;

    /// <param name="context">Where it was captured.</param>
    /// <param name="graph">The driver's graph, which is used up.</param>
    internal CudaGraph(CudaContext context, nint graph)
        : base(0, ownsHandle: true)
    {
        _context = context;
        try
        {
            CudaDriver.Check(CudaDriver.Instantiate(out nint executable, graph, 0), executable, "instantiating a graph");
            SetHandle(executable);
        }
        finally
        {
            _ = CudaDriver.DestroyGraph(graph);
        }
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>Queues the graph's work.</summary>
    public void Launch(CudaStream stream)
    {
        _context.MakeCurrent();
        CudaDriver.Check(CudaDriver.LaunchGraph(this, stream), "launching a graph");
    }

    protected override bool ReleaseHandle() => CudaDriver.DestroyExecutable(handle) == CudaResult.Success;
}
