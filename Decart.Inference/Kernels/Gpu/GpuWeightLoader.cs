using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Sends stored tensors to the device, a few megabytes at a time, and has it lay them out. Block formats are decoded on the host.
/// </summary>
internal sealed unsafe class GpuWeightLoader(IGpuDevice device) : IDisposable
{
    /// <summary>Bytes that are sent at once; a single row may be longer.</summary>
    private const long PieceBytes = 16 << 20;

    private const int MaxColumns = 1 << 24;

    private readonly GpuBuffer _staging = new(device.Memory);
    private float[] _decoded = [];

    /// <summary>See <see cref="IKernels.CreateWeight"/>.</summary>
    /// <exception cref="ModelLoadException">There is no part, the numbers of columns differ, or an encoding is not one that weights may have.</exception>
    public GpuWeight CreateWeight(ReadOnlySpan<StoredTensor> parts)
    {
        GpuWeight weight = new(device.Memory, CountRows(parts), (int)parts[0].Columns);
        try
        {
            long row = 0;
            foreach (StoredTensor part in parts)
            {
                Send(part, weight.Address + (nint)(row * weight.Stride * sizeof(ushort)), weight.Stride);
                row += part.Rows;
            }
            return weight;
        }
        catch
        {
            weight.Dispose();
            throw;
        }
    }

    /// <summary>See <see cref="IKernels.CreateVector"/>.</summary>
    /// <exception cref="ModelLoadException">An encoding is not one that weights may have, or there are too many elements.</exception>
    public GpuWeightVector CreateVector(ReadOnlySpan<StoredTensor> parts, float offset)
    {
        using CpuWeightVector values = CpuWeightVector.Create(parts, offset);
        GpuWeightVector vector = new(device.Memory, values.Length);
        device.Clear(vector.Address, vector.Bytes);
        device.Upload(vector.Address, MemoryMarshal.AsBytes(new ReadOnlySpan<float>(values.Pointer, values.Length)));
        return vector;
    }

    public void Dispose() => _staging.Dispose();

    private void Send(StoredTensor part, nint destination, int stride)
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
                Destination = destination + (nint)(row * stride * sizeof(ushort)),
                Type = (int)(plain ? part.Type : TensorType.F32),
                Columns = columns,
                Stride = stride,
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

    private static int CountRows(ReadOnlySpan<StoredTensor> parts)
    {
        if (parts.IsEmpty) throw new ModelLoadException("A weight needs at least one tensor, none was given.");
        long rows = 0;
        foreach (StoredTensor part in parts)
        {
            if (!MatMulFormats.Supports(part.Type)) throw new ModelLoadException($"{part.Name}: its encoding {part.Type} cannot be multiplied with.");
            if (part.Columns != parts[0].Columns || part.Columns is < 1 or > MaxColumns)
            {
                throw new ModelLoadException(
                    $"{part.Name}: expected {parts[0].Columns} columns as in {parts[0].Name}, 1 to {MaxColumns}, found {part.Columns}.");
            }
            if (part.Rows < 1) throw new ModelLoadException($"{part.Name}: expected at least one row, found {part.Rows}.");
            rows += part.Rows;
            if (rows > int.MaxValue) throw new ModelLoadException($"{part.Name}: a weight has at most {int.MaxValue} rows, these are {rows}.");
        }
        return (int)rows;
    }
}
