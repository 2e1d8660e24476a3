using System.Runtime.InteropServices;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A GPU that decoders run on; see docs/gpu.md. Operations return when they are started, <see cref="Read(Activations, int, Span{float})"/> when all are done.</summary>
internal sealed class GpuBackend : IBackend
{
    /// <summary>Steps of up to that many sequences are recorded before they are needed.</summary>
    private const int PreparedRows = 16;

    private readonly IGpuDevice _device;
    private readonly GpuTensorFactory _tensors;
    private readonly GpuStep _step;
    private readonly GpuSampler _sampler;
    private readonly GpuKernels _kernels;
    private readonly GpuRecordings _recordings;
    private bool _disposed;

    /// <param name="device">Owned.</param>
    /// <param name="keysAndValues">How keys and values are kept.</param>
    /// <param name="eightBitActivations">See <see cref="LlmSessionOptions.EightBitActivations"/>.</param>
    public GpuBackend(IGpuDevice device, KvCacheType keysAndValues = KvCacheType.Default, bool eightBitActivations = false)
    {
        _device = device;
        KvElementBytes = keysAndValues == KvCacheType.Fp8 ? KvCodes.Bytes : sizeof(ushort);
        _tensors = new GpuTensorFactory(device, eightBitActivations);
        _step = new GpuStep(device, KvElementBytes);
        _sampler = new GpuSampler(device);
        _kernels = new GpuKernels(device, _step, _sampler, KvElementBytes);
        _recordings = new GpuRecordings(device);
    }

    /// <summary>Whether steps of single tokens are recorded and repeated, rather than launched kernel by kernel.</summary>
    public bool RecordsSteps { get; init; } = true;

    /// <summary>Whether weights stay in few bits where there are kernels for it.</summary>
    public bool PacksWeights => GpuMatMulLauncher.MultipliesPacked(_device);

    /// <summary>What it runs on.</summary>
    public IGpuDevice Device => _device;

    /// <summary>The batch of the current step.</summary>
    public GpuStep Step => _step;

    /// <summary>Where the device has the tokens that were sampled last, for <see cref="Batch.AddSampled"/>.</summary>
    public nint SampledTokens => _sampler.Tokens;

    public IDeviceMemory Memory => _device.Memory;

    public int KvElementBytes { get; }

    public ITensorFactory Tensors => _tensors;

    public IKernels Kernels => _kernels;

    public IDeviceSampler Sampler => _sampler;

    /// <summary>
    /// Goes through empty steps: one of the largest batch makes room and has every kernel compiled, then those of few sequences are recorded. Others are
    /// when they are first met.
    /// </summary>
    public void Prepare(int maxTokens, int contextLength, Action operations)
    {
        _step.Limit(maxTokens, contextLength);
        _step.BeginEmpty(decode: false, maxTokens);
        operations();
        for (int capacity = 1; ; capacity *= 2)
        {
            _step.BeginEmpty(decode: true, Math.Min(capacity, maxTokens));
            Run(operations);
            if (capacity >= Math.Min(PreparedRows, maxTokens)) break;
        }
        _device.Synchronize();
    }

    public void BeginStep(Batch batch) => _step.Begin(batch);

    public void Run(Action operations)
    {
        if (RecordsSteps && _step.IsDecode) _recordings.Run(operations, _step.Capacity, CountMoves);
        else operations();
    }

    public void Read(Activations x, int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)x.Rows, nameof(row));
        GpuActivations source = ((GpuActivations)x).AsFloats();
        _device.Download(source.Address + (nint)((long)row * source.Stride * sizeof(float)), MemoryMarshal.AsBytes(destination[..x.Columns]));
    }

    public void Read(WeightVector vector, Span<float> destination) =>
        _device.Download(((GpuWeightVector)vector).Address, MemoryMarshal.AsBytes(destination[..vector.Length]));

    public void Wait() => _device.Synchronize();

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _sampler.Dispose();
        _recordings.Dispose();
        _kernels.Dispose();
        _step.Dispose();
        _tensors.Dispose();
        _device.Dispose();
    }

    private int CountMoves() => _step.Moves + _kernels.Moves;
}
