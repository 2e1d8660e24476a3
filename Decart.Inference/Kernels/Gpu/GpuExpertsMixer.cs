using System.Runtime.InteropServices;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Runs a mixture of experts: routing, two grouped matmuls, and the weighted sum. Nothing comes back to the host in between.</summary>
internal sealed class GpuExpertsMixer(IGpuDevice device, GpuMatMulLauncher matMul) : IDisposable
{
    private readonly GpuBuffer _choices = new(device.Memory), _weights = new(device.Memory), _order = new(device.Memory), _starts = new(device.Memory);
    private readonly Dictionary<Experts, GpuBuffer> _tables = new(ReferenceEqualityComparer.Instance);
    private GpuActivations? _hidden, _outputs;

    /// <summary>See <see cref="IKernels.MixExperts"/>.</summary>
    public void Mix(int tokens, GpuActivations x, GpuActivations routerLogits, Experts experts, GpuActivations y)
    {
        int pairs = tokens * experts.ExpertsPerToken, count = experts.Down.Length, inner = experts.Down[0].Columns;
        Reserve(ref _hidden, pairs, inner, operand: true);
        Reserve(ref _outputs, pairs, y.Columns, operand: false);
        _choices.Reserve((long)pairs * sizeof(int));
        _weights.Reserve((long)pairs * sizeof(float));
        _order.Reserve((long)pairs * sizeof(int));
        _starts.Reserve((count + 1L) * sizeof(int));
        nint table = Table(experts);
        int typicalRows = (pairs + count - 1) / count;
        ExpertsArguments arguments = new()
        {
            Logits = routerLogits.Address,
            Choices = _choices.Address,
            Weights = _weights.Address,
            Order = _order.Address,
            Starts = _starts.Address,
            Outputs = _outputs!.Address,
            Y = y.Address,
            Tokens = tokens,
            Experts = count,
            PerToken = experts.ExpertsPerToken,
            Renormalise = experts.Renormalise ? 1 : 0,
            LogitsStride = routerLogits.Stride,
            OutputsStride = _outputs.Stride,
            YStride = y.Stride,
            Columns = y.Columns,
        };
        device.Launch(GpuExperts.RouteKernel, new GpuGrid(tokens), arguments);
        device.Launch(GpuExperts.GroupKernel, new GpuGrid(1), arguments);
        MatMulArguments gateUp = new()
        {
            X = x.Address,
            Weight = table,
            Order = _order.Address,
            Starts = _starts.Address,
            Y = _hidden!.Address,
            Columns = inner,
            Rows = tokens,
            Stride = x.Stride,
            YStride = _hidden.Stride,
            RowsPerSource = experts.ExpertsPerToken,
            Gated = 1,
            Function = (int)experts.Function,
            HalfY = 1,
        };
        matMul.Launch(gateUp, count, typicalRows);
        MatMulArguments down = new()
        {
            X = _hidden.Address,
            Weight = table + (count * sizeof(long)),
            Order = _order.Address,
            Starts = _starts.Address,
            Y = _outputs.Address,
            Columns = y.Columns,
            Rows = tokens,
            Stride = _hidden.Stride,
            YStride = _outputs.Stride,
            RowsPerSource = 1,
        };
        matMul.Launch(down, count, typicalRows);
        device.Launch(GpuExperts.MixKernel, new GpuGrid(tokens), arguments);
    }

    public void Dispose()
    {
        foreach (GpuBuffer table in _tables.Values) table.Dispose();
        _choices.Dispose();
        _weights.Dispose();
        _order.Dispose();
        _starts.Dispose();
        _hidden?.Dispose();
        _outputs?.Dispose();
    }

    /// <summary>The addresses of the experts' gate-up weights, then of their down weights.</summary>
    private nint Table(Experts experts)
    {
        if (_tables.TryGetValue(experts, out GpuBuffer? table)) return table.Address;
        long[] addresses = [.. experts.GateUp.Concat(experts.Down).Select(weight => (long)((GpuWeight)weight).Address)];
        table = new GpuBuffer(device.Memory, (long)addresses.Length * sizeof(long));
        device.Upload(table.Address, MemoryMarshal.AsBytes(addresses.AsSpan()));
        _tables.Add(experts, table);
        return table.Address;
    }

    private void Reserve(ref GpuActivations? activations, int rows, int columns, bool operand)
    {
        if (activations?.Rows >= rows && activations.Columns == columns) return;
        activations?.Dispose();
        activations = new GpuActivations(device, rows, columns, operand);
    }
}
