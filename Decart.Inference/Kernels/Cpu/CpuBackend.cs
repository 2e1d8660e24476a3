using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>
/// The processor: float32 activations, keys and values of float32 or <see cref="KvCodes"/>; weights as they are stored. Used by one thread at a time, which works along with its team. Allocates
/// nothing once it has seen the largest batch.
/// </summary>
internal sealed class CpuBackend : IBackend
{
    private readonly ThreadTeam _team;
    private readonly CpuStep _step = new();
    private readonly CpuKernels _kernels;
    private bool _disposed;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">Number of threads including the caller's, at least 1.</param>
    /// <param name="width">The width of the vectors to compute with; the machine's own when null.</param>
    /// <param name="keysAndValues">How keys and values are kept.</param>
    public CpuBackend(int threads, SimdWidth? width = null, KvCacheType keysAndValues = KvCacheType.Default)
    {
        KvElementBytes = keysAndValues == KvCacheType.Fp8 ? KvCodes.Bytes : sizeof(float);
        _team = new ThreadTeam(threads);
        _kernels = new CpuKernels(_team, _step, width ?? SimdWidths.Machine, KvElementBytes);
    }

    public IDeviceMemory Memory { get; } = new HostMemory();

    public int KvElementBytes { get; }

    public ITensorFactory Tensors { get; } = new CpuTensorFactory();

    public IKernels Kernels => _kernels;

    public void BeginStep(Batch batch) => _step.Begin(batch);

    public void Read(Activations x, int row, Span<float> destination) => ((CpuActivations)x).Row(row).CopyTo(destination);

    public unsafe void Read(WeightVector vector, Span<float> destination) =>
        new ReadOnlySpan<float>(((CpuWeightVector)vector).Pointer, vector.Length).CopyTo(destination);

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _team.Dispose();
        _kernels.Dispose();
        _step.Dispose();
    }
}
