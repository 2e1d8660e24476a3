using System.Runtime.InteropServices;

namespace Decart.Inference.Native.Cuda;

// Graphs: what was queued on a stream, to be queued again at once.
internal static partial class CudaDriver
{
    [LibraryImport(Library, EntryPoint = "cuStreamBeginCapture_v2")]
    public static partial CudaResult BeginCapture(CudaStream stream, CudaCaptureMode mode);

    [LibraryImport(Library, EntryPoint = "cuStreamEndCapture")]
    public static partial CudaResult EndCapture(CudaStream stream, out nint graph);

    [LibraryImport(Library, EntryPoint = "cuGraphDestroy")]
    public static partial CudaResult DestroyGraph(nint graph);

    [LibraryImport(Library, EntryPoint = "cuGraphInstantiateWithFlags")]
    public static partial CudaResult Instantiate(out nint executable, nint graph, ulong flags);

    [LibraryImport(Library, EntryPoint = "cuGraphExecDestroy")]
    public static partial CudaResult DestroyExecutable(nint executable);

    [LibraryImport(Library, EntryPoint = "cuGraphLaunch")]
    public static partial CudaResult LaunchGraph(CudaGraph graph, CudaStream stream);
}

/// <summary><c>CUstreamCaptureMode</c>: which threads may meanwhile do what cannot be captured.</summary>
internal enum CudaCaptureMode
{
    ThreadLocal = 1,
}
