using Decart.Inference.Memory;
using Decart.Inference.Native.Cuda;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The number of groups of a launch in each dimension.</summary>
/// <param name="X">Groups side by side, a multiple of <paramref name="ClusterSize"/>.</param>
/// <param name="Y">Rows of them.</param>
/// <param name="Z">Layers of these.</param>
/// <param name="ClusterSize">Groups, side by side along x, that form an <see cref="Intrinsics.Cluster"/>; more than 1 from sm_90 on.</param>
internal readonly record struct GpuGrid(int X, int Y = 1, int Z = 1, int ClusterSize = 1)
{
    /// <summary>Threads of a group, where they are fewer than the kernel's.</summary>
    public int GroupSize { get; init; } = int.MaxValue;
}

/// <summary>Launches that were recorded. Disposed of by the thread that launches, when none of them is under way.</summary>
internal interface IGpuRecording : IDisposable
{
    /// <summary>Starts them all; returns at once.</summary>
    void Replay();
}

/// <summary>
/// What a <see cref="GpuBackend"/> runs on: launches and copies take effect in the order of the calls. Called by one thread.
/// </summary>
internal interface IGpuDevice : IDisposable
{
    IDeviceMemory Memory { get; }

    /// <summary>The most threads of a group; kernels that want more get this many.</summary>
    int MaxGroupSize { get; }

    /// <summary>Whether warps have 32 lanes and <see cref="Intrinsics.TensorCore"/> can be used.</summary>
    bool HasTensorCores { get; }

    /// <summary>Whether weights may stay in the bits of their file, where there are kernels for it: see <see cref="GpuSupport.PacksWeights"/>.</summary>
    bool PacksWeights { get; }

    /// <summary>Number of multiprocessors, at least 1.</summary>
    int Multiprocessors { get; }

    /// <summary>Whether kernels of that kind run here; <see cref="Launch"/> throws <see cref="NotSupportedException"/> where they do not.</summary>
    bool CanRun(GpuKernel kernel);

    /// <summary>Starts a kernel; returns at once.</summary>
    void Launch<TArguments>(GpuKernel<TArguments> kernel, GpuGrid grid, in TArguments arguments)
        where TArguments : unmanaged;

    /// <summary>Writes a tensor map, on the host, as <see cref="Intrinsics.TensorCopy"/> reads it on the device.</summary>
    /// <exception cref="CudaException">The device cannot copy such boxes.</exception>
    void EncodeTensorMap(CudaTensorMap map, Span<byte> destination);

    /// <summary>
    /// Calls <paramref name="launches"/>, whose kernels are not started but recorded, to be started together any number of times with the arguments that
    /// they had. Kernels must have been launched before; memory cannot be allocated, copied or filled meanwhile.
    /// </summary>
    IGpuRecording Record(Action launches);

    /// <summary>Starts a copy to the device; the source may change when this returns.</summary>
    void Upload(nint destination, ReadOnlySpan<byte> source);

    /// <summary>Copies to the host and returns when that is done.</summary>
    void Download(nint source, Span<byte> destination);

    /// <summary>Starts a copy within the device.</summary>
    void Copy(nint destination, nint source, long bytes);

    /// <summary>Lets what is given to <see cref="CopyAside"/> from here on begin when all that was started before is done.</summary>
    void Fork();

    /// <summary>Starts a copy, to this device or to another one, that takes effect in the order of such copies, beside what else is started.</summary>
    void CopyAside(nint destination, nint source, long bytes);

    /// <summary>Lets what is started from here on begin when all copies of <see cref="CopyAside"/> are done.</summary>
    void Join();

    /// <summary>Fills with zeros.</summary>
    void Clear(nint destination, long bytes);

    /// <summary>Waits until everything that was started is done.</summary>
    void Synchronize();

    /// <summary>Makes a place on the host to copy to without waiting.</summary>
    /// <param name="bytes">The most bytes of one copy.</param>
    GpuReadback CreateReadback(int bytes);
}
