using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Makes tensors in the device's memory. Stored ones are sent a few megabytes at a time and laid out there. Block formats stay packed where there
/// are kernels for them, else they are decoded on the host.
/// </summary>
/// <param name="device">Where.</param>
/// <param name="eightBitActivations">Whether weights of 8-bit floats, or of integers of 8 or 4 bits, are multiplied with activations of 8 bits, where there are kernels for it and their scales are of a kind that these have.</param>
internal sealed unsafe class GpuTensorFactory(IGpuDevice device, bool eightBitActivations = false) : ITensorFactory, IDisposable
{
    /// <summary>Bytes that are sent at once; a single row may be longer.</summary>
    private const long PieceBytes = 16 << 20;

    private readonly GpuBuffer _staging = new(device.Memory), _unusual = new(device.Memory);
    private readonly bool _packs = GpuMatMulLauncher.MultipliesPacked(device);
    private readonly bool _multipliesCodes = eightBitActivations && GpuMatMulLauncher.MultipliesCodes(device);
    private float[] _decoded = [];
    private byte[] _recoded = [];

    /// <summary>Rows as they are sent.</summary>
    private delegate ReadOnlySpan<byte> RowReader(StoredTensor part, long first, int rows);

    public bool ReadsWeightsInPlace => false;

    public Weight CreateWeight(WeightParts parts)
    {
        if (_multipliesCodes && CreateCodes(parts) is { } weight) return weight;
        return Segments(parts) is { } segments ? CreatePacked(parts, segments) : CreateWidened(parts);
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

    public Activations CreateActivations(int rows, int columns, bool operand = false, Split split = Split.None) => new GpuActivations(device, rows, columns, operand);

    public void Dispose()
    {
        _staging.Dispose();
        _unusual.Dispose();
    }

    private GpuWeight CreateWidened(WeightParts parts)
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

    private void Send(StoredTensor part, GpuWeight weight, int firstRow)
    {
        bool plain = part.Type.BlockLength() == 1;
        StoreWeightsArguments arguments = new()
        {
            Destination = weight.Address,
            Type = (int)(plain ? part.Type : TensorType.F32),
            Columns = (int)part.Columns,
            Stride = weight.PaddedColumns,
            Rows = weight.PaddedRows,
            FirstRow = firstRow,
            Gates = weight.IsGated ? weight.Rows / 2 : 0,
        };
        if (plain) Send(part, part.RowBytes, AsStored, GpuStoreWeights.Kernel, arguments);
        else Send(part, part.Columns * sizeof(float), Decode, GpuStoreWeights.Kernel, arguments);
    }

    private void Send(StoredTensor part, long rowBytes, RowReader read, GpuKernel<StoreWeightsArguments> kernel, StoreWeightsArguments arguments)
    {
        int firstRow = arguments.FirstRow;
        Send(part, rowBytes, read, (source, row, rows) => device.Launch(kernel, new GpuGrid(rows), arguments with { Source = source, FirstRow = firstRow + row }));
    }

    /// <summary>Sends rows, some at a time, to where a kernel lays them out.</summary>
    /// <param name="part">The rows.</param>
    /// <param name="rowBytes">Bytes of one as it is sent.</param>
    /// <param name="read">Makes of them what is sent.</param>
    /// <param name="layOut">Told where some rows have been sent, which is the first and how many they are.</param>
    private void Send(StoredTensor part, long rowBytes, RowReader read, Action<nint, int, int> layOut)
    {
        int rowsAtOnce = (int)Math.Clamp(PieceBytes / rowBytes, 1, part.Rows);
        _staging.Reserve(rowsAtOnce * rowBytes);
        for (long row = 0; row < part.Rows; row += rowsAtOnce)
        {
            int rows = (int)Math.Min(rowsAtOnce, part.Rows - row);
            device.Upload(_staging.Address, read(part, row, rows));
            layOut(_staging.Address, (int)row, rows);
        }
    }

    /// <summary>The weight's parts by how they are stored, one list for neighbours of one format; null where it is to be widened.</summary>
    private List<List<StoredTensor>>? Segments(WeightParts parts)
    {
        if (!_packs || parts.MustBeWidened) return null;
        ImmutableArray<int> order = parts.Tensors[0].ColumnOrder;
        // Rows of embeddings are read by columns, and experts share their operand.
        if (!order.IsDefault && (parts.IsTable || parts.IsExpert)) return null;
        List<List<StoredTensor>> segments = [];
        foreach (StoredTensor part in parts.Tensors)
        {
            if (PackedFormat.Of(part.Type) is null || !ColumnOrders.AreEqual(part.ColumnOrder, order)) return null;
            if (segments is [.., [.., { } last] same] && last.Type == part.Type) same.Add(part);
            else segments.Add([part]);
        }
        // Rows of gates and ups alternate in tiles; others begin with tiles where they go on in another format.
        bool whole = segments.SkipLast(1).All(segment => segment.Sum(part => part.Rows) % CoreTiles.TileRows == 0);
        return segments.Count == 1 || (whole && !parts.Gated) ? segments : null;
    }

    private GpuPackedWeight CreatePacked(WeightParts parts, List<List<StoredTensor>> segments)
    {
        List<GpuPackedSegment> created = [];
        GpuPackedWeight weight = new(created, parts.Rows, parts.Columns, parts.Gated, SendOrder(parts.Tensors[0].ColumnOrder));
        try
        {
            int firstRow = 0;
            foreach (List<StoredTensor> tensors in segments)
            {
                int rows = (int)tensors.Sum(part => part.Rows);
                created.Add(new GpuPackedSegment(device.Memory, PackedFormat.Of(tensors[0].Type)!, firstRow, rows, parts.Columns, parts.Gated));
                Pack(tensors, created[^1], parts);
                firstRow += rows;
            }
            return weight;
        }
        catch
        {
            weight.Dispose();
            throw;
        }
    }

    /// <summary>What <see cref="GpuColumnOrder"/> reads; null where columns are in order.</summary>
    private GpuBuffer? SendOrder(ImmutableArray<int> order)
    {
        if (order.IsDefault) return null;
        GpuBuffer buffer = new(device.Memory, (long)order.Length * sizeof(int));
        device.Upload(buffer.Address, MemoryMarshal.AsBytes(order.AsSpan()));
        return buffer;
    }

    private void Pack(List<StoredTensor> tensors, GpuPackedSegment segment, WeightParts parts)
    {
        // Padding has scales of 0: it is multiplied too.
        device.Clear(segment.Address, segment.Bytes);
        _unusual.Reserve(sizeof(int));
        device.Clear(_unusual.Address, sizeof(int));
        StoreWeightsArguments arguments = new()
        {
            Destination = segment.Address,
            Unusual = _unusual.Address,
            Columns = parts.Columns,
            Stride = CoreTiles.PaddedColumns(parts.Columns),
            Rows = segment.PaddedRows,
            Gates = parts.Gated ? segment.Rows / 2 : 0,
        };
        foreach (StoredTensor tensor in tensors)
        {
            long rowBytes = tensor.Columns / tensor.Type.BlockLength() * segment.Format.BlockBytes;
            Send(tensor, rowBytes, segment.Format.Recode is { } recode ? Recoded(recode, rowBytes) : AsStored, segment.Format.Store, arguments);
            arguments.FirstRow += (int)tensor.Rows;
        }
        int found = 0;
        device.Download(_unusual.Address, MemoryMarshal.AsBytes(new Span<int>(ref found)));
        segment.Scaling = found == 0 ? segment.Format.Scalings[^1] : (PackedScaling)BitOperations.TrailingZeroCount(found);
    }

    /// <summary>The weight as codes and scales; null where it is not of such, or its scales are of no kind that there are products for.</summary>
    private GpuCodeWeight? CreateCodes(WeightParts parts)
    {
        TensorType type = parts.Tensors[0].Type;
        bool floats = type is TensorType.E4M3x32 or TensorType.E4M3x64;
        bool nibbles = type is TensorType.Int4x32 or TensorType.Int4x64;
        bool integers = (type is TensorType.Int8x32 or TensorType.Int8x64) && parts.Columns <= IntegerSums.MaxColumns;
        ImmutableArray<int> order = parts.Tensors[0].ColumnOrder;
        bool fits = (floats || integers || nibbles) && parts is { IsTable: false, MustBeWidened: false, IsExpert: false };
        if (!fits || !parts.Tensors.All(part => part.Type == type && ColumnOrders.AreEqual(part.ColumnOrder, order))) return null;
        GpuCodeWeight? weight = nibbles
            ? GpuCodeWeight.TryCreateNibbles(device, parts.Rows, parts.Columns, parts.Gated, arguments => SendCodes(GpuCodePack.NibbleKernel, arguments))
            : GpuCodeWeight.TryCreate(device, parts.Rows, parts.Columns, parts.Gated, integers, arguments => SendCodes(GpuCodePack.Kernel, arguments));
        if (weight is null) return null;
        try
        {
            weight.Order = SendOrder(order);
            return weight;
        }
        catch
        {
            weight.Dispose();
            throw;
        }

        void SendCodes(GpuKernel<CodePackArguments> kernel, CodePackArguments arguments)
        {
            arguments.BlockColumns = type.BlockLength();
            foreach (StoredTensor part in parts.Tensors)
            {
                Send(part, part.RowBytes, AsStored, (source, row, rows) => device.Launch(kernel, new GpuGrid(rows), arguments with { Source = source, FirstRow = arguments.FirstRow + row }));
                arguments.FirstRow += (int)part.Rows;
            }
        }
    }

    private static ReadOnlySpan<byte> AsStored(StoredTensor part, long first, int rows) => new(part.Pointer + (first * part.RowBytes), checked((int)(rows * part.RowBytes)));

    /// <summary>Other blocks in the place of those that are stored.</summary>
    private RowReader Recoded(BlockRecoder recode, long rowBytes) => (part, first, rows) =>
    {
        int bytes = checked((int)(rows * rowBytes)), storedBytes = part.Type.BlockBytes();
        long blocks = rows * (part.Columns / part.Type.BlockLength()), blockBytes = bytes / blocks;
        if (_recoded.Length < bytes) _recoded = new byte[bytes];
        byte* source = part.Pointer + (first * part.RowBytes);
        fixed (byte* destination = _recoded)
        {
            for (long block = 0; block < blocks; block++) recode(source + (block * storedBytes), destination + (block * blockBytes));
        }
        return _recoded.AsSpan(0, bytes);
    };

    /// <summary>As float32.</summary>
    private ReadOnlySpan<byte> Decode(StoredTensor part, long first, int rows)
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
