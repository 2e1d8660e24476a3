using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The operations of a decoder on a GPU; see docs/gpu.md. They return when they are started.</summary>
internal sealed class GpuKernels : IPartKernels, IDisposable
{
    private readonly IGpuDevice _device;
    private readonly GpuStep _step;
    private readonly GpuSampler _sampler;
    private readonly RowMaxima _maxima;
    private readonly GpuMatMulLauncher _matMul;
    private readonly GpuExpertsMixer _experts;
    private readonly GpuAttentionLauncher _attention;

    /// <param name="device">Where they run.</param>
    /// <param name="step">The batch that they work on.</param>
    /// <param name="sampler">What has sampled tokens that the host does not know yet.</param>
    /// <param name="kvElementBytes">Bytes of an element of the keys and values: of a half or a code.</param>
    public GpuKernels(IGpuDevice device, GpuStep step, GpuSampler sampler, int kvElementBytes)
    {
        (_device, _step, _sampler) = (device, step, sampler);
        _maxima = new RowMaxima(device.Memory);
        _matMul = new GpuMatMulLauncher(device);
        _experts = new GpuExpertsMixer(device, _matMul);
        _attention = new GpuAttentionLauncher(device, step, _maxima, kvElementBytes);
    }

    /// <summary>Every kernel.</summary>
    public static IReadOnlyList<GpuKernel> All { get; } = [.. For(KvCacheType.Default).Union(For(KvCacheType.Fp8)), .. GpuMatMulLauncher.Codes];

    /// <summary>Every kernel for one form of keys and values, for whoever compiles them ahead of need.</summary>
    public static IReadOnlyList<GpuKernel> For(KvCacheType keysAndValues) =>
    [
        GpuStoreWeights.Kernel, GpuEmbed.Kernel, .. GpuMatMulLauncher.All,
        .. keysAndValues == KvCacheType.Fp8 ? GpuAttentionLauncher.ForCodes : GpuAttentionLauncher.ForHalves,
        .. GpuExpertsMixer.All,
        GpuSampling.Kernel, GpuTokenCounts.MarkKernel,
    ];

    /// <summary>All of the step.</summary>
    private Rows AllRows => new(_step.Count, 0, _step.Capacity);

    /// <summary>How often memory that launches use has moved.</summary>
    public int Moves => _attention.Moves + _matMul.Moves + _experts.Moves;

    public void Embed(Weight table, float scale, Activations x)
    {
        GpuActivations destination = Floats(x);
        EmbedArguments arguments = new()
        {
            Count = _step.Count,
            Rows = _step.Rows,
            X = destination.Address,
            Sampled = _sampler.Tokens,
            Maxima = _maxima.Begin(),
            TableStride = CoreTiles.PaddedColumns(table.Columns),
            XStride = destination.Stride,
            Columns = table.Columns,
            Scale = scale,
        };
        if (table is GpuPackedWeight { Segments: [{ } packed] })
        {
            arguments.Table = packed.Address;
            _device.Launch(packed.Format.Embed, new GpuGrid(_step.Capacity, (table.Columns + packed.Format.EmbedColumns - 1) / packed.Format.EmbedColumns), arguments);
        }
        else
        {
            (arguments.Table, arguments.TableRows) = (((GpuWeight)table).Address, ((GpuWeight)table).PaddedRows);
            _device.Launch(GpuEmbed.Kernel, new GpuGrid(_step.Capacity), arguments);
        }
    }

    public void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y) =>
        MatMul((GpuActivations)x, norm, weight, epilogue, (GpuActivations)y, AllRows);

    public void MatMul(Activations x, Norm? norm, Weight weight, in Epilogue epilogue, Activations y, RowPart part) =>
        MatMul((GpuActivations)x, norm, weight, epilogue, (GpuActivations)y, new Rows(_step.PartCount(part.Index), part.First, part.Count));

    public void Normalise(Norm norm, Activations x, Activations y) =>
        Normalise(norm, x, ((GpuActivations)y).AsOperand(), CoreTiles.OperandBlockRows(_step.Capacity));

    public void NormaliseAdd(Norm norm, Activations delta, Activations residual) => Normalise(norm, delta, Floats(residual), blockRows: 0);

    public void Attend(Activations qkv, int layer, AttentionShape shape, RotaryTable? rotary, Norm? queryNorm, Norm? keyNorm, Activations y)
    {
        GpuAttentionLauncher.ThrowIfHeadsAreTooLong(shape.HeadDim);
        GpuActivations activations = Floats(qkv), outputs = ((GpuActivations)y).AsOperand();
        GpuRotaryTable? table = (GpuRotaryTable?)rotary;
        AttentionArguments arguments = new()
        {
            Qkv = activations.Address,
            QkvStride = activations.Stride,
            Y = outputs.Address,
            YStride = outputs.Stride,
            YBlockRows = CoreTiles.OperandBlockRows(_step.Capacity),
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
        _matMul.ClearPadding(_step.Count, outputs.Address, outputs.Columns, _step.Capacity);
    }

    public void MixExperts(Activations x, Activations routerLogits, Experts experts, Activations y) =>
        _experts.Mix(_step.Count, _step.Capacity, Operand((GpuActivations)x, AllRows), Floats(routerLogits), experts, Floats(y));

    public void Logits(Activations x, Norm norm, Weight weight, in Epilogue epilogue, Activations y)
    {
        // The longest step that there can be makes room for all, but may want no logits.
        _matMul.ReserveOperand(_step.MaxRows, x.Columns);
        if (_step.LogitCapacity == 0) return;
        Rows all = new(_step.LogitCount, 0, _step.LogitCapacity);
        NormArguments rows = Arguments(norm, x, all);
        rows.Order = _step.LogitRows;
        Multiply(_matMul.Normalise(rows, _step.LogitCapacity), weight, epilogue, Floats(y), all);
    }

    public void Dispose()
    {
        _attention.Dispose();
        _experts.Dispose();
        _matMul.Dispose();
        _maxima.Dispose();
    }

    private void Normalise(Norm norm, Activations x, GpuActivations y, int blockRows)
    {
        _maxima.Forget(y.Address);
        NormArguments arguments = Arguments(norm, x, AllRows);
        arguments.Y = y.Address;
        arguments.YStride = y.Stride;
        arguments.YBlockRows = blockRows;
        GpuNorm.Launch(_device, arguments, _step.Capacity);
    }

    private void MatMul(GpuActivations x, Norm? norm, Weight weight, in Epilogue epilogue, GpuActivations y, Rows rows)
    {
        if (weight is not GpuCodeWeight) _maxima.Forget(y.Address);
        if (norm is not null && weight is GpuCodeWeight { ColumnOrder: 0 } codes && GpuNorm.MakesCodes(_device, x.Columns))
        {
            CodeOperand codesOfX = _matMul.NormaliseToCodes(Arguments(norm, x, rows), rows.Capacity, codes.PaddedRows, codes.Scaling);
            Multiply(codesOfX, codes, Arguments(weight, epilogue, y, rows), rows.Capacity);
            return;
        }
        nint operand = norm is null ? Operand(x, rows) : _matMul.Normalise(Arguments(norm, x, rows), rows.Capacity);
        Multiply(operand, weight, epilogue, y, rows);
    }

    private static GpuActivations Floats(Activations activations) => ((GpuActivations)activations).AsFloats();

    /// <summary>The address of what a matmul multiplies: the activations, or what they are as halves.</summary>
    private nint Operand(GpuActivations x, Rows rows) => x.IsOperand ? x.RowAddress(rows.First) : _matMul.Round(x, rows.First, rows.Count, rows.Capacity);

    private static nint HeadNorm(Norm? norm) => norm switch
    {
        null => 0,
        { RemoveMean: false, Bias: null } => ((GpuWeightVector)norm.Scale).Address,
        _ => throw new NotSupportedException("Heads are normalised by RMSNorm without bias only."),
    };

    /// <param name="x">The operand.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="epilogue">What becomes of the products.</param>
    /// <param name="y">Where they go.</param>
    /// <param name="rows">Which of them.</param>
    private void Multiply(nint x, Weight weight, in Epilogue epilogue, GpuActivations y, Rows rows)
    {
        MatMulArguments arguments = Arguments(weight, epilogue, y, rows) with { X = x };
        if (weight is GpuPackedWeight packed)
        {
            if (packed.ColumnOrder != 0) arguments.X = _matMul.Order(x, packed.ColumnOrder, rows.Count, packed.Columns, rows.Capacity);
            foreach (GpuPackedSegment segment in packed.Segments) _matMul.Launch(segment.PartOf(packed, arguments), rows.Capacity, segment.Format);
        }
        else if (weight is GpuCodeWeight codes)
        {
            (nint Own, nint Spent) maxima = _maxima.Take(x, rows.Capacity);
            if (codes.ColumnOrder != 0) x = _matMul.Order(x, codes.ColumnOrder, rows.Count, codes.Columns, rows.Capacity);
            Multiply(_matMul.RoundToCodes(x, maxima, rows.Count, rows.Capacity, codes.PaddedRows, arguments.Stride, codes.Scaling), codes, arguments, rows.Capacity);
        }
        else
        {
            arguments.Weight = ((GpuWeight)weight).Address;
            arguments.WeightRows = ((GpuWeight)weight).PaddedRows;
            _matMul.Launch(arguments, rows.Capacity);
        }
    }

    private void Multiply(CodeOperand x, GpuCodeWeight weight, MatMulArguments arguments, int rows)
    {
        arguments.Weight = weight.Codes;
        arguments.WeightRows = weight.PaddedRows;
        arguments.Scales = weight.Scales;
        // Which blocks raise maxima kernels know when they are compiled.
        if (arguments.HalfY != 0) arguments.Maxima = _maxima.Expect((nint)arguments.Y, Math.Max(rows, x.Plan.BlockRows));
        _matMul.LaunchCodes(arguments, x, rows, weight.Scaling);
    }

    /// <summary>A product without x and where the weight is.</summary>
    private static MatMulArguments Arguments(Weight weight, in Epilogue epilogue, GpuActivations y, Rows rows)
    {
        bool gated = weight is GpuPackedWeight { IsGated: true } or GpuCodeWeight { IsGated: true } or GpuWeight { IsGated: true };
        if (gated != epilogue.Gated) throw new ArgumentException("A weight of gates and ups is multiplied with a gate, no other is.", nameof(weight));
        if (y.IsOperand && epilogue.Accumulate) throw new ArgumentException("Sums are kept in float32.", nameof(y));
        return new MatMulArguments
        {
            Count = rows.Count,
            Bias = epilogue.Bias is GpuWeightVector bias ? bias.Address : 0,
            Y = y.RowAddress(rows.First),
            Columns = gated ? weight.Rows / 2 : weight.Rows,
            Stride = CoreTiles.PaddedColumns(weight.Columns),
            YStride = y.Stride,
            Gated = gated ? 1 : 0,
            Accumulate = epilogue.Accumulate ? 1 : 0,
            Function = (int)epilogue.Function,
            SoftCap = epilogue.SoftCap,
            HalfY = y.IsOperand ? 1 : 0,
        };
    }

    /// <summary>A norm without where it goes.</summary>
    private static NormArguments Arguments(Norm norm, Activations x, Rows rows) => new()
    {
        Count = rows.Count,
        X = Floats(x).RowAddress(rows.First),
        Scale = ((GpuWeightVector)norm.Scale).Address,
        Bias = norm.Bias is GpuWeightVector bias ? bias.Address : 0,
        XStride = ((GpuActivations)x).Stride,
        Columns = x.Columns,
        InverseColumns = 1f / x.Columns,
        Epsilon = norm.Epsilon,
        RemoveMean = norm.RemoveMean ? 1 : 0,
    };

    /// <summary>Some of a step's rows.</summary>
    /// <param name="Count">Address of their number.</param>
    /// <param name="First">The first of them.</param>
    /// <param name="Capacity">How many launches are sized for.</param>
    private readonly record struct Rows(nint Count, int First, int Capacity);
}
