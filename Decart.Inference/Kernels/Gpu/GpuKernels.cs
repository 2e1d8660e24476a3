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

    /// <summary>Steps of up to that many sequences are recorded before they are needed.</summary>
    private const int PreparedRows = 16;

    private readonly IGpuDevice _device;
    private readonly GpuWeightLoader _loader;
    private readonly GpuStep _step;
    private readonly GpuMatMulLauncher _matMul;
    private readonly GpuExpertsMixer _experts;
    private readonly GpuAttentionLauncher _attention;
    private readonly GpuSampler _sampler;
    private readonly GpuRecordings _recordings;
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
        _recordings = new GpuRecordings(device);
    }

    /// <summary>Every kernel, for whoever compiles them ahead of need.</summary>
    public static IReadOnlyList<GpuKernel> All { get; } =
    [
        GpuStoreWeights.Kernel, GpuEmbed.Kernel, GpuNorm.Kernel, GpuRotary.Kernel,
        GpuMatMul.Kernel, GpuTensorMatMul.Narrow8, GpuTensorMatMul.Narrow16, GpuTensorMatMul.Narrow32, GpuTensorMatMul.Wide, GpuTensorMatMul.Normed8, GpuTiledMatMul.Kernel,
        GpuAttention.Kernel, GpuTensorAttention.Heads64, GpuTensorAttention.Heads128, GpuTensorAttention.Heads256,
        GpuTensorAttention.Decode64, GpuTensorAttention.Decode128, GpuTensorAttention.Decode256,
        GpuExperts.RouteKernel, GpuExperts.GroupKernel, GpuExperts.MixKernel,
        GpuSampling.Kernel, GpuTokenCounts.MarkKernel,
    ];

    /// <summary>Whether steps of single tokens are recorded and repeated, rather than launched kernel by kernel.</summary>
    public bool RecordsSteps { get; init; } = true;

    public bool ReadsWeightsInPlace => false;

    public int KvElementBytes => KvBytes;

    public IDeviceMemory Memory => _device.Memory;

    public Weight CreateWeight(ReadOnlySpan<StoredTensor> parts) => _loader.CreateWeight(parts);

    public WeightVector CreateVector(ReadOnlySpan<StoredTensor> parts, float offset = 0) => _loader.CreateVector(parts, offset);

    public RotaryTable CreateRotary(RotaryParameters parameters)
    {
        ThrowIfHeadsAreTooLong(2 * parameters.Pairs);
        return new GpuRotaryTable(Send(parameters.InverseFrequencies), parameters);
    }

    public Activations CreateActivations(int rows, int columns, bool operand = false) => new GpuActivations(_device, rows, columns, operand);

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

    public void Embed(Weight table, float scale, Activations x)
    {
        GpuWeight weight = (GpuWeight)table;
        GpuActivations destination = Floats(x);
        EmbedArguments arguments = new()
        {
            Count = _step.Count,
            Rows = _step.Rows,
            Table = weight.Address,
            X = destination.Address,
            Chosen = _sampler.Tokens,
            TableStride = weight.Stride,
            XStride = destination.Stride,
            Columns = weight.Columns,
            Scale = scale,
        };
        _device.Launch(GpuEmbed.Kernel, new GpuGrid(_step.Capacity), arguments);
    }

    public void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        int rows = _step.Capacity;
        MatMulArguments arguments = Arguments(weight, epilogue, (GpuActivations)y, _step.Count);
        if (norm is null)
        {
            arguments.X = Operand(x).Address;
            _matMul.Launch(arguments, rows);
        }
        else
        {
            _matMul.LaunchNormed(arguments, Arguments(norm, x, _step.Count), rows);
        }
    }

    public void NormaliseAdd(Norm norm, Activations delta, Activations residual)
    {
        NormArguments arguments = Arguments(norm, delta, _step.Count);
        GpuActivations destination = Floats(residual);
        arguments.Y = destination.Address;
        arguments.YStride = destination.Stride;
        _device.Launch(GpuNorm.Kernel, new GpuGrid(_step.Capacity), arguments);
    }

    public void Attend(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm, Activations y)
    {
        ThrowIfHeadsAreTooLong(shape.HeadDim);
        GpuActivations activations = Floats(qkv), outputs = Operand(y);
        GpuRotaryTable? table = (GpuRotaryTable?)rotary;
        AttentionArguments arguments = new()
        {
            Qkv = activations.Address,
            QkvStride = activations.Stride,
            Y = outputs.Address,
            YStride = outputs.Stride,
            Layer = layer,
            InverseFrequencies = table?.InverseFrequencies ?? 0,
            QueryNorm = HeadNorm(queryNorm),
            KeyNorm = HeadNorm(keyNorm),
            Pairs = table?.Pairs ?? 0,
            Interleaved = table is { Interleaved: true } ? 1 : 0,
            FrequencySets = table?.Sets ?? 1,
            FirstSetLength = table?.FirstSetLength ?? 0,
            RotaryScale = table?.Scale ?? 1,
            QueryEpsilon = queryNorm?.Epsilon ?? 0,
            KeyEpsilon = keyNorm?.Epsilon ?? 0,
        };
        _attention.Launch(arguments, shape);
    }

    public void MixExperts(Activations x, Norm? norm, Activations routerLogits, Experts experts, Activations y)
    {
        int tokens = _step.Capacity;
        nint operand = norm is null ? Operand(x).Address : _matMul.Normalise(Arguments(norm, x, _step.Count), tokens);
        _experts.Mix(_step.Count, tokens, operand, Floats(routerLogits), experts, Floats(y));
    }

    public void Logits(Activations x, Norm norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        if (_step.LogitCapacity == 0) return;
        NormArguments rows = Arguments(norm, x, _step.LogitCount);
        rows.Order = _step.LogitRows;
        _matMul.LaunchNormed(Arguments(weight, epilogue, Floats(y), _step.LogitCount), rows, _step.LogitCapacity);
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
        _recordings.Dispose();
        _attention.Dispose();
        _experts.Dispose();
        _matMul.Dispose();
        _step.Dispose();
        _loader.Dispose();
        _device.Dispose();
    }

    private static GpuActivations Floats(Activations activations) => activations is GpuActivations { IsOperand: false } floats
        ? floats
        : throw new ArgumentException("Activations of float32 were expected, not operands of matmuls.", nameof(activations));

    private static GpuActivations Operand(Activations activations) => activations is GpuActivations { IsOperand: true } halves
        ? halves
        : throw new ArgumentException("Operands of matmuls were expected, not activations of float32.", nameof(activations));

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

    /// <summary>A product without what is multiplied.</summary>
    private static MatMulArguments Arguments(Weight weight, in Epilogue epilogue, GpuActivations y, nint count)
    {
        if (y.IsOperand && epilogue.Accumulate) throw new ArgumentException("Sums are kept in float32.", nameof(y));
        return new MatMulArguments
        {
            Count = count,
            Weight = ((GpuWeight)weight).Address,
            Bias = epilogue.Bias is GpuWeightVector bias ? bias.Address : 0,
            Y = y.Address,
            Columns = epilogue.Gated ? weight.Rows / 2 : weight.Rows,
            Stride = ((GpuWeight)weight).Stride,
            YStride = y.Stride,
            RowsPerSource = 1,
            Gated = epilogue.Gated ? 1 : 0,
            Accumulate = epilogue.Accumulate ? 1 : 0,
            Function = (int)epilogue.Function,
            SoftCap = epilogue.SoftCap,
            HalfY = y.IsOperand ? 1 : 0,
        };
    }

    /// <summary>A norm without where it goes.</summary>
    private static NormArguments Arguments(Norm norm, Activations x, nint count) => new()
    {
        Count = count,
        X = Floats(x).Address,
        Scale = ((GpuWeightVector)norm.Scale).Address,
        Bias = norm.Bias is GpuWeightVector bias ? bias.Address : 0,
        XStride = ((GpuActivations)x).Stride,
        Columns = x.Columns,
        Epsilon = norm.Epsilon,
        RemoveMean = norm.RemoveMean ? 1 : 0,
    };

    private int CountMoves() => _step.Moves + _matMul.Moves + _experts.Moves;

    private GpuBuffer Send(float[] values)
    {
        GpuBuffer buffer = new(_device.Memory, (long)values.Length * sizeof(float));
        _device.Upload(buffer.Address, MemoryMarshal.AsBytes(values.AsSpan()));
        return buffer;
    }
}
