using System.Runtime.InteropServices;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Runs a mixture of experts: routing, two grouped matmuls, and the weighted sum. Nothing comes back to the host in between.</summary>
internal sealed class GpuExpertsMixer(IGpuDevice device, GpuMatMulLauncher matMul) : IDisposable
{
    /// <summary>Rows of a block of the hidden activations, the same for every batch, so that their padding stays where it is.</summary>
    private const int HiddenBlockRows = 8;

    private readonly GpuBuffer _choices = new(device.Memory), _weights = new(device.Memory), _order = new(device.Memory), _starts = new(device.Memory);
    private readonly GpuBuffer _hidden = new(device.Memory), _outputs = new(device.Memory);
    private readonly Dictionary<Experts, GpuBuffer> _tables = new(ReferenceEqualityComparer.Instance);

    /// <summary>How often memory that launches use has moved.</summary>
    public int Moves => _choices.Moves + _weights.Moves + _order.Moves + _starts.Moves + _hidden.Moves + _outputs.Moves;

    /// <summary>See <see cref="IKernels.MixExperts"/>.</summary>
    /// <param name="count">Address of the number of tokens.</param>
    /// <param name="tokens">Tokens that launches are sized for.</param>
    /// <param name="x">The operand's address.</param>
    /// <param name="routerLogits">Float32.</param>
    /// <param name="experts">The experts.</param>
    /// <param name="y">Float32.</param>
    public void Mix(nint count, int tokens, nint x, GpuActivations routerLogits, Experts experts, GpuActivations y)
    {
        int pairs = tokens * experts.ExpertsPerToken, number = experts.Down.Length, inner = experts.Down[0].Columns;
        int hiddenStride = CoreTiles.PaddedColumns(inner), outputsStride = CoreTiles.PaddedColumns(y.Columns);
        // Halves behind the columns stay 0: no model has experts of different widths.
        if (_hidden.Reserve((long)CoreTiles.PaddedRows(pairs) * hiddenStride * sizeof(ushort))) device.Clear(_hidden.Address, _hidden.Bytes);
        _outputs.Reserve((long)pairs * outputsStride * sizeof(float));
        _choices.Reserve((long)pairs * sizeof(int));
        _weights.Reserve((long)pairs * sizeof(float));
        _order.Reserve((long)pairs * sizeof(int));
        _starts.Reserve((number + 1L) * sizeof(int));
        nint table = Table(experts);
        int typicalRows = (pairs + number - 1) / number;
        ExpertsArguments arguments = new()
        {
            Count = count,
            Logits = routerLogits.Address,
            Choices = _choices.Address,
            Weights = _weights.Address,
            Order = _order.Address,
            Starts = _starts.Address,
            Outputs = _outputs.Address,
            Y = y.Address,
            Experts = number,
            PerToken = experts.ExpertsPerToken,
            Renormalise = experts.Renormalise ? 1 : 0,
            LogitsStride = routerLogits.Stride,
            OutputsStride = outputsStride,
            YStride = y.Stride,
            Columns = y.Columns,
        };
        device.Launch(GpuExperts.RouteKernel, new GpuGrid(tokens), arguments);
        device.Launch(GpuExperts.GroupKernel, new GpuGrid(1), arguments);
        MatMulArguments gateUp = new()
        {
            X = x,
            Weight = table,
            Order = _order.Address,
            Starts = _starts.Address,
            Y = _hidden.Address,
            Columns = inner,
            WeightRows = ((GpuWeight)experts.GateUp[0]).PaddedRows,
            Stride = CoreTiles.PaddedColumns(experts.GateUp[0].Columns),
            YStride = hiddenStride,
            XBlockRows = CoreTiles.OperandBlockRows(tokens),
            YBlockRows = HiddenBlockRows,
            RowsPerSource = experts.ExpertsPerToken,
            Gated = 1,
            Function = (int)experts.Function,
            HalfY = 1,
        };
        matMul.LaunchExperts(gateUp, tokens, number, typicalRows);
        MatMulArguments down = new()
        {
            X = _hidden.Address,
            Weight = table + (number * sizeof(long)),
            Order = _order.Address,
            Starts = _starts.Address,
            Y = _outputs.Address,
            Columns = y.Columns,
            WeightRows = ((GpuWeight)experts.Down[0]).PaddedRows,
            Stride = hiddenStride,
            YStride = outputsStride,
            XBlockRows = HiddenBlockRows,
            RowsPerSource = 1,
        };
        matMul.LaunchExperts(down, tokens, number, typicalRows);
        device.Launch(GpuExperts.MixKernel, new GpuGrid(tokens), arguments);
    }

    public void Dispose()
    {
        foreach (GpuBuffer table in _tables.Values) table.Dispose();
        _choices.Dispose();
        _weights.Dispose();
        _order.Dispose();
        _starts.Dispose();
        _hidden.Dispose();
        _outputs.Dispose();
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
}
