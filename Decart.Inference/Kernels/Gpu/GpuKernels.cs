using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Memory;
using Decart.Inference.Sampling;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The operations of a decoder on a GPU; see docs/gpu.md. Called by one thread at a time. Operations return when they are started, <see cref="Read"/>
/// when all are done.
/// </summary>
internal sealed class GpuKernels : IKernels
{
    public const int KvBytes = sizeof(ushort);

    private readonly IGpuDevice _device;
    private readonly GpuWeightLoader _loader;
    private readonly GpuStep _step;
    private readonly GpuMatMulLauncher _matMul;
    private readonly GpuExpertsMixer _experts;
    private readonly GpuAttentionLauncher _attention;
    private readonly GpuSampler _sampler;
    private bool _disposed;

    /// <param name="device">Owned.</param>
    public GpuKernels(IGpuDevice device)
    {
        _device = device;
        _loader = new GpuWeightLoader(device);
        _step = new GpuStep(device);
        _matMul = new GpuMatMulLauncher(device);
        _experts = new GpuExpertsMixer(device, _matMul);
        _attention = new GpuAttentionLauncher(device, _step);
        _sampler = new GpuSampler(device);
    }

    /// <summary>Every kernel, for whoever compiles them ahead of need.</summary>
    public static IReadOnlyList<GpuKernel> All { get; } =
    [
        GpuStoreWeights.Kernel, GpuEmbed.Kernel, GpuNorm.Kernel, GpuRotary.Kernel, GpuGather.Kernel,
        GpuMatMul.Kernel, GpuTensorMatMul.Narrow8, GpuTensorMatMul.Narrow16, GpuTensorMatMul.Narrow32, GpuTensorMatMul.Wide,
        GpuAttention.Kernel, GpuAttention.MergeKernel, GpuTensorAttention.Heads64, GpuTensorAttention.Heads128, GpuTensorAttention.Heads256,
        GpuExperts.RouteKernel, GpuExperts.GroupKernel, GpuExperts.MixKernel,
        GpuSampling.Kernel, GpuTokenCounts.MarkKernel,
    ];

    public bool ReadsWeightsInPlace => false;

    public int KvElementBytes => KvBytes;

    public IDeviceMemory Memory => _device.Memory;

    public Weight CreateWeight(ReadOnlySpan<StoredTensor> parts) => _loader.CreateWeight(parts);

    public WeightVector CreateVector(ReadOnlySpan<StoredTensor> parts, float offset = 0) => _loader.CreateVector(parts, offset);

    public RotaryTable CreateRotary(RotaryParameters parameters)
    {
        ThrowIfHeadsAreTooLong(2 * parameters.InverseFrequencies.Length);
        return new GpuRotaryTable(Send(parameters.InverseFrequencies), parameters);
    }

    public Activations CreateActivations(int rows, int columns, bool operand = false) => new GpuActivations(_device, rows, columns, operand);

    public void BeginStep(Batch batch) => _step.Begin(batch);

    public void Embed(Weight table, float scale, Activations x)
    {
        GpuWeight weight = (GpuWeight)table;
        GpuActivations destination = Floats(x);
        EmbedArguments arguments = new()
        {
            Rows = _step.Rows,
            Table = weight.Address,
            X = destination.Address,
            Chosen = _sampler.Tokens,
            TableStride = weight.Stride,
            XStride = destination.Stride,
            Columns = weight.Columns,
            Scale = scale,
        };
        _device.Launch(GpuEmbed.Kernel, new GpuGrid(_step.Count), arguments);
    }

    public void Normalise(Norm norm, Activations x, Activations y) => Normalise(norm, x, delta: null, y, add: false);

    public void AddNormalise(Activations residual, Activations delta, Norm norm, Activations y) => Normalise(norm, residual, delta, y, add: false);

    public void NormaliseAdd(Norm norm, Activations delta, Activations residual) => Normalise(norm, delta, delta: null, Floats(residual), add: true);

    public void MatMul(Activations x, Weight weight, int rows, in Epilogue epilogue, Activations y)
    {
        GpuActivations source = (GpuActivations)x, destination = (GpuActivations)y;
        if (!source.IsOperand) throw new ArgumentException("Only activations that were created as operands can be multiplied.", nameof(x));
        if (destination.IsOperand && epilogue.Accumulate) throw new ArgumentException("Sums are kept in float32.", nameof(y));
        MatMulArguments arguments = new()
        {
            X = source.Address,
            Weight = ((GpuWeight)weight).Address,
            Bias = epilogue.Bias is GpuWeightVector bias ? bias.Address : 0,
            Y = destination.Address,
            Columns = epilogue.Gated ? weight.Rows / 2 : weight.Rows,
            Rows = rows,
            Stride = source.Stride,
            YStride = destination.Stride,
            RowsPerSource = 1,
            Gated = epilogue.Gated ? 1 : 0,
            Accumulate = epilogue.Accumulate ? 1 : 0,
            Function = (int)epilogue.Function,
            SoftCap = epilogue.SoftCap,
            HalfY = destination.IsOperand ? 1 : 0,
        };
        _matMul.Launch(arguments);
    }

    public void RotaryStore(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm)
    {
        ThrowIfHeadsAreTooLong(shape.HeadDim);
        GpuActivations activations = Floats(qkv);
        GpuRotaryTable? table = (GpuRotaryTable?)rotary;
        RotaryArguments arguments = new()
        {
            Rows = _step.Rows,
            Qkv = activations.Address,
            InverseFrequencies = table?.InverseFrequencies ?? 0,
            QueryNorm = HeadNorm(queryNorm),
            KeyNorm = HeadNorm(keyNorm),
            Stride = activations.Stride,
            Layer = layer,
            Heads = shape.Heads,
            KvHeads = shape.KvHeads,
            HeadDim = shape.HeadDim,
            Pairs = table?.Pairs ?? 0,
            Interleaved = table is { Interleaved: true } ? 1 : 0,
            Scale = table?.Scale ?? 1,
            QueryEpsilon = queryNorm?.Epsilon ?? 0,
            KeyEpsilon = keyNorm?.Epsilon ?? 0,
        };
        _device.Launch(GpuRotary.Kernel, new GpuGrid(_step.Count), arguments);
    }

    public void Attend(Activations qkv, int layer, AttentionShape shape, Activations y)
    {
        ThrowIfHeadsAreTooLong(shape.HeadDim);
        GpuActivations queries = Floats(qkv), outputs = (GpuActivations)y;
        if (!outputs.IsOperand) throw new ArgumentException("Attention writes operands of matmuls.", nameof(y));
        _attention.Launch(queries, layer, shape, outputs);
    }

    public void MixExperts(Activations x, Activations routerLogits, Experts experts, Activations y) =>
        _experts.Mix(_step.Count, (GpuActivations)x, Floats(routerLogits), experts, Floats(y));

    public void GatherRows(Activations x, ReadOnlySpan<int> rows, Activations y)
    {
        GpuActivations source = (GpuActivations)x, destination = (GpuActivations)y;
        if (source.RowBytes != destination.RowBytes) throw new ArgumentException("Rows are gathered as they are.", nameof(y));
        foreach (int row in rows) ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)x.Rows, nameof(rows));
        GatherArguments arguments = new()
        {
            Indices = _step.SendIndices(rows),
            X = source.Address,
            Y = destination.Address,
            RowBytes = (int)source.RowBytes,
        };
        _device.Launch(GpuGather.Kernel, new GpuGrid(rows.Length), arguments);
    }

    public void Read(Activations x, int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)x.Rows, nameof(row));
        GpuActivations source = (GpuActivations)x;
        nint address = source.Address + (nint)(row * source.RowBytes);
        if (!source.IsOperand)
        {
            _device.Download(address, MemoryMarshal.AsBytes(destination[..x.Columns]));
            return;
        }
        Half[] halves = new Half[x.Columns];
        _device.Download(address, MemoryMarshal.AsBytes(halves.AsSpan()));
        for (int i = 0; i < halves.Length; i++) destination[i] = (float)halves[i];
    }

    public TokenChooser? CreateChooser(SamplingParameters parameters, ReadOnlySpan<int> prompt, int vocabularySize) =>
        _sampler.CreateChooser(parameters, prompt, vocabularySize);

    public ChosenTokens Sample(Activations logits, ReadOnlySpan<TokenChoice> choices) => _sampler.Sample(Floats(logits), choices);

    public void Wait() => _device.Synchronize();

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _sampler.Dispose();
        _attention.Dispose();
        _experts.Dispose();
        _step.Dispose();
        _loader.Dispose();
        _device.Dispose();
    }

    private static GpuActivations Floats(Activations activations) => activations is GpuActivations { IsOperand: false } floats
        ? floats
        : throw new ArgumentException("Activations of float32 were expected, not operands of matmuls.", nameof(activations));

    private static nint HeadNorm(Norm? norm) => norm switch
    {
        null => 0,
        { RemoveMean: false, Bias: null } => ((GpuWeightVector)norm.Scale).Address,
        _ => throw new NotSupportedException("Heads are normalised by RMSNorm without bias only."),
    };

    private static void ThrowIfHeadsAreTooLong(int headDim)
    {
        if (headDim > GpuAttention.MaxHeadDim) throw new NotSupportedException($"Heads have at most {GpuAttention.MaxHeadDim} elements, not {headDim}.");
    }

    private void Normalise(Norm norm, Activations x, Activations? delta, Activations y, bool add)
    {
        GpuActivations source = Floats(x), destination = (GpuActivations)y;
        GpuActivations? addend = delta is null ? null : Floats(delta);
        NormArguments arguments = new()
        {
            X = source.Address,
            Delta = addend?.Address ?? 0,
            Scale = ((GpuWeightVector)norm.Scale).Address,
            Bias = norm.Bias is GpuWeightVector bias ? bias.Address : 0,
            Y = destination.Address,
            XStride = source.Stride,
            DeltaStride = addend?.Stride ?? 0,
            YStride = destination.Stride,
            Columns = x.Columns,
            Epsilon = norm.Epsilon,
            RemoveMean = norm.RemoveMean ? 1 : 0,
            Add = add ? 1 : 0,
            HalfY = destination.IsOperand ? 1 : 0,
        };
        _device.Launch(GpuNorm.Kernel, new GpuGrid(_step.Count), arguments);
    }

    private GpuBuffer Send(float[] values)
    {
        GpuBuffer buffer = new(_device.Memory, (long)values.Length * sizeof(float));
        _device.Upload(buffer.Address, MemoryMarshal.AsBytes(values.AsSpan()));
        return buffer;
    }
}
