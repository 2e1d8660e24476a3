using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Runs a mixture of experts: routing, rows gathered into blocks of one expert each, two matmuls of these blocks, and the weighted sum. Nothing comes back to the host in between.
/// </summary>
internal sealed class GpuExpertsMixer(IGpuDevice device, GpuMatMulLauncher matMul) : IDisposable
{
    private readonly GpuBuffer _choices = new(device.Memory), _weights = new(device.Memory), _rows = new(device.Memory), _blocks = new(device.Memory);
    private readonly GpuBuffer _gathered = new(device.Memory), _hidden = new(device.Memory), _outputs = new(device.Memory);
    private readonly Dictionary<Experts, (GpuExpertWeights GateUp, GpuExpertWeights Down)> _tables = new(ReferenceEqualityComparer.Instance);

    /// <summary>Every kernel.</summary>
    public static IReadOnlyList<GpuKernel> All { get; } = [GpuExperts.RouteKernel, GpuExperts.GroupKernel, GpuExperts.GatherKernel, GpuExperts.MixKernel];

    /// <summary>How often memory that launches use has moved.</summary>
    public int Moves => _choices.Moves + _weights.Moves + _rows.Moves + _blocks.Moves + _gathered.Moves + _hidden.Moves + _outputs.Moves;

    /// <summary>See <see cref="IKernels.MixExperts"/>.</summary>
    /// <param name="count">Address of the number of tokens.</param>
    /// <param name="tokens">Tokens that launches are sized for.</param>
    /// <param name="x">The operand's address.</param>
    /// <param name="routerLogits">Float32.</param>
    /// <param name="experts">The experts.</param>
    /// <param name="y">Float32.</param>
    public void Mix(nint count, int tokens, nint x, GpuActivations routerLogits, Experts experts, GpuActivations y)
    {
        (GpuExpertWeights gateUp, GpuExpertWeights down) = Weights(experts);
        int pairs = tokens * experts.ExpertsPerToken, number = experts.Down.Length, inner = experts.Down[0].Columns;
        ExpertBlockPlan blocks = matMul.PlanExperts(pairs, number);
        int stride = CoreTiles.PaddedColumns(experts.GateUp[0].Columns), hiddenStride = CoreTiles.PaddedColumns(inner), outputsStride = CoreTiles.PaddedColumns(y.Columns);
        _gathered.Reserve((long)blocks.MostRows * stride * sizeof(ushort));
        _hidden.Reserve((long)blocks.MostRows * hiddenStride * sizeof(ushort));
        _outputs.Reserve((long)blocks.MostRows * outputsStride * sizeof(float));
        _choices.Reserve((long)pairs * sizeof(int));
        _weights.Reserve((long)pairs * sizeof(float));
        _rows.Reserve((long)pairs * sizeof(int));
        _blocks.Reserve(ExpertBlock.Bytes(blocks.Most));
        ExpertsArguments arguments = new()
        {
            Count = count,
            Logits = routerLogits.Address,
            Choices = _choices.Address,
            Weights = _weights.Address,
            Blocks = _blocks.Address,
            Rows = _rows.Address,
            X = x,
            Gathered = _gathered.Address,
            Outputs = _outputs.Address,
            Y = y.Address,
            Experts = number,
            PerToken = experts.ExpertsPerToken,
            Renormalise = experts.Renormalise ? 1 : 0,
            LogitsStride = routerLogits.Stride,
            XStride = stride,
            OutputsStride = outputsStride,
            YStride = y.Stride,
            Columns = y.Columns,
            BlockRows = blocks.Rows,
            XBlockRows = CoreTiles.OperandBlockRows(tokens),
        };
        device.Launch(GpuExperts.RouteKernel, new GpuGrid(tokens), arguments);
        device.Launch(GpuExperts.GroupKernel, new GpuGrid(number), arguments);
        device.Launch(GpuExperts.GatherKernel, new GpuGrid(pairs), arguments);
        MatMulArguments product = new()
        {
            Count = count,
            ExpertBlocks = _blocks.Address,
            X = _gathered.Address,
            Y = _hidden.Address,
            Columns = inner,
            Stride = stride,
            YStride = hiddenStride,
            Gated = 1,
            Function = (int)experts.Function,
            HalfY = 1,
        };
        matMul.LaunchExperts(gateUp.Of(product), blocks, gateUp.Format);
        product = new()
        {
            Count = count,
            ExpertBlocks = _blocks.Address,
            X = _hidden.Address,
            Y = _outputs.Address,
            Columns = y.Columns,
            Stride = hiddenStride,
            YStride = outputsStride,
        };
        matMul.LaunchExperts(down.Of(product), blocks, down.Format);
        int groupSize = Math.Min(GpuExperts.MixKernel.GroupSize, device.MaxGroupSize);
        device.Launch(GpuExperts.MixKernel, new GpuGrid(tokens, (y.Columns + groupSize - 1) / groupSize), arguments);
    }

    public void Dispose()
    {
        foreach ((GpuExpertWeights gateUp, GpuExpertWeights down) in _tables.Values)
        {
            gateUp.Dispose();
            down.Dispose();
        }
        _choices.Dispose();
        _weights.Dispose();
        _rows.Dispose();
        _blocks.Dispose();
        _gathered.Dispose();
        _hidden.Dispose();
        _outputs.Dispose();
    }

    private (GpuExpertWeights GateUp, GpuExpertWeights Down) Weights(Experts experts)
    {
        if (_tables.TryGetValue(experts, out var tables)) return tables;
        tables = (new GpuExpertWeights(device, experts.GateUp), new GpuExpertWeights(device, experts.Down));
        _tables.Add(experts, tables);
        return tables;
    }
}
