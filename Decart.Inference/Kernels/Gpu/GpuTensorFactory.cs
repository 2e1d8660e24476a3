using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Makes tensors in the device's memory. Stored ones are sent a few megabytes at a time and laid out there; block formats are decoded on the host.
/// </summary>
internal sealed unsafe class GpuTensorFactory(IGpuDevice device) : ITensorFactory, IDisposable
{
    /// <summary>Bytes that are sent at once; a single row may be longer.</summary>
    private const long PieceBytes = 16 << 20;

    private readonly GpuBuffer _staging = new(device.Memory);
    private float[] _decoded = [];

    public bool ReadsWeightsInPlace => false;

    public Weight CreateWeight(WeightParts parts)
    {
        GpuWeight weight = new(device.Memory, parts.Rows, parts.Columns, parts.Gated);
        try
        {
            // Padding is multiplied too: it must be numbers.
            if (weight.PaddedRows != weight.Rows) device.Clear(weight.Address, weight.Bytes);
            int row = 0;
            foreach (StoredTensor part in parts.Tensors)
            {
                Send(part, weight, row);
                row += (int)part.Rows;
            }
            return weight;
        }
        catch
        {
            weight.Dispose();
            throw;
        }
    }

    public WeightVector CreateVector(VectorParts parts, float offset = 0)
    {
        using CpuWeightVector values = CpuWeightVector.Create(parts, offset);
        GpuWeightVector vector = new(device.Memory, values.Length);
        device.Clear(vector.Address, vector.Bytes);
        device.Upload(vector.Address, MemoryMarshal.AsBytes(new ReadOnlySpan<float>(values.Pointer, values.Length)));
        return vector;
    }

    public RotaryTable CreateRotary(RotaryParameters parameters)
    {
        float[] frequencies = parameters.InverseFrequencies;
        GpuAttentionLauncher.ThrowIfHeadsAreTooLong(2 * parameters.Pairs);
        GpuBuffer buffer = new(device.Memory, (long)frequencies.Length * sizeof(float));
        device.Upload(buffer.Address, MemoryMarshal.AsBytes(frequencies.AsSpan()));
        return new GpuRotaryTable(buffer, parameters);
    }

    public Activations CreateActivations(int rows, int columns, bool operand = false) => new GpuActivations(device, rows, columns, operand);

    public void Dispose() => _staging.Dispose();

    private void Send(StoredTensor part, GpuWeight weight, int firstRow)
    {
        bool plain = part.Type.BlockLength() == 1;
        int columns = (int)part.Columns;
        long rowBytes = plain ? part.RowBytes : (long)columns * sizeof(float);
        int rowsAtOnce = (int)Math.Clamp(PieceBytes / rowBytes, 1, part.Rows);
        _staging.Reserve(rowsAtOnce * rowBytes);
        for (long row = 0; row < part.Rows; row += rowsAtOnce)
        {
            int rows = (int)Math.Min(rowsAtOnce, part.Rows - row);
            ReadOnlySpan<byte> piece = plain ? new(part.Pointer + (row * rowBytes), checked((int)(rows * rowBytes))) : Decode(part, row, rows);
            device.Upload(_staging.Address, piece);
            StoreWeightsArguments arguments = new()
            {
                Source = _staging.Address,
                Destination = weight.Address,
                Type = (int)(plain ? part.Type : TensorType.F32),
                Columns = columns,
                Stride = weight.PaddedColumns,
                Rows = weight.PaddedRows,
                FirstRow = firstRow + (int)row,
                Gates = weight.IsGated ? weight.Rows / 2 : 0,
            };
            device.Launch(GpuStoreWeights.Kernel, new GpuGrid(rows), arguments);
        }
    }

    private ReadOnlySpan<byte> Decode(in StoredTensor part, long first, int rows)
    {
        int columns = (int)part.Columns;
        if (_decoded.Length < rows * columns) _decoded = new float[rows * columns];
        fixed (float* destination = _decoded)
        {
            for (int row = 0; row < rows; row++) TensorDecoder.DecodeRow(part, first + row, destination + ((long)row * columns));
        }
        return MemoryMarshal.AsBytes(_decoded.AsSpan(0, rows * columns));
    }
}
