using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Consecutive rows of a weight with one encoding.</summary>
/// <param name="Data">The first row, in the checkpoint's map.</param>
/// <param name="RowBytes">Distance between rows.</param>
/// <param name="Rows">Number of rows.</param>
/// <param name="Type">Encoding.</param>
internal readonly unsafe record struct CpuWeightPart(nint Data, long RowBytes, int Rows, TensorType Type);

/// <summary>
/// A weight whose rows stay where they lie in the checkpoint: pointers into its map, so the checkpoint must outlive the weight. Parts whose elements lie in different
/// orders are widened.
/// Immutable; any thread may read it.
/// </summary>
internal sealed unsafe class CpuWeight : Weight
{
    /// <summary>Pinned: jobs refer to it by address.</summary>
    private readonly CpuWeightPart[] _parts;

    private readonly List<CpuBuffer<float>> _widened = [];

    /// <summary>Concatenates the rows of <paramref name="parts"/>.</summary>
    public CpuWeight(WeightParts parts)
        : base(parts.Rows, parts.Columns)
    {
        _parts = GC.AllocateArray<CpuWeightPart>(parts.Tensors.Length, pinned: true);
        bool sameOrder = parts.Tensors.All(part => ColumnOrders.AreEqual(part.ColumnOrder, parts.Tensors[0].ColumnOrder));
        if (sameOrder) ColumnOrder = parts.Tensors[0].ColumnOrder;
        for (int i = 0; i < _parts.Length; i++)
        {
            StoredTensor part = sameOrder || parts.Tensors[i].ColumnOrder.IsDefault ? parts.Tensors[i] : Widen(parts.Tensors[i]);
            _parts[i] = new CpuWeightPart(part.Data, part.RowBytes, (int)part.Rows, part.Type);
        }
    }

    private CpuWeight(CpuWeight whole, int firstRow, int rows)
        : base(rows, whole.Columns)
    {
        ColumnOrder = whole.ColumnOrder;
        List<CpuWeightPart> parts = [];
        int first = 0;
        foreach (CpuWeightPart part in whole._parts)
        {
            int start = Math.Max(firstRow, first), end = Math.Min(firstRow + rows, first + part.Rows);
            if (end > start) parts.Add(part with { Data = part.Data + (nint)((start - first) * part.RowBytes), Rows = end - start });
            first += part.Rows;
        }
        _parts = GC.AllocateArray<CpuWeightPart>(parts.Count, pinned: true);
        parts.CopyTo(_parts);
    }

    /// <summary>The column of each element of a row, where the elements lie in another order; else default. Activations are multiplied in this order.</summary>
    public ImmutableArray<int> ColumnOrder { get; }

    /// <summary>Address of the first part, valid as long as the weight is reachable.</summary>
    public CpuWeightPart* Parts => (CpuWeightPart*)Marshal.UnsafeAddrOfPinnedArrayElement(_parts, 0);

    /// <summary>Widens one row to float32.</summary>
    /// <param name="row">0 up to <see cref="Weight.Rows"/>.</param>
    /// <param name="destination">Room for <see cref="Weight.Columns"/> elements.</param>
    public void DecodeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, Columns);
        int index = 0;
        for (; row >= _parts[index].Rows; index++) row -= _parts[index].Rows;
        ref readonly CpuWeightPart part = ref _parts[index];
        fixed (float* values = destination)
        {
            MatMulFormats.Decode(part.Type, (byte*)part.Data + (row * part.RowBytes), Columns, values);
            ColumnOrders.Restore(ColumnOrder, values);
        }
    }

    public override Weight? Slice(int firstRow, int rowCount) => new CpuWeight(this, firstRow, rowCount);

    public override void Dispose()
    {
        foreach (CpuBuffer<float> buffer in _widened) buffer.Dispose();
    }

    private StoredTensor Widen(StoredTensor part)
    {
        CpuBuffer<float> buffer = new(part.Rows * part.Columns);
        _widened.Add(buffer);
        for (long row = 0; row < part.Rows; row++) TensorDecoder.DecodeRow(part, row, buffer.Pointer + (row * part.Columns));
        return new StoredTensor(part.Name, TensorType.F32, part.Shape, (nint)buffer.Pointer);
    }
}
