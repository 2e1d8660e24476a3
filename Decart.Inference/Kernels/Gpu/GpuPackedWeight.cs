using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A weight in the bits that it is stored in; see <see cref="PackedTile{TFormat}"/>. Where it is stored in several ways, one after another, it has a segment for each.</summary>
/// <param name="segments">The segments in order; owned.</param>
/// <param name="rows">Rows of all.</param>
/// <param name="columns">Columns.</param>
/// <param name="gated">Whether the rows are gates followed by as many ups, of one segment.</param>
/// <param name="columnOrder">For each column as it is stored which one it is (int), or null where they are in order; owned.</param>
internal sealed class GpuPackedWeight(IReadOnlyList<GpuPackedSegment> segments, int rows, int columns, bool gated, GpuBuffer? columnOrder = null) : Weight(rows, columns)
{
    public IReadOnlyList<GpuPackedSegment> Segments { get; } = segments;

    public bool IsGated { get; } = gated;

    /// <summary>Where columns are stored in another order: the address of the order, in which <see cref="GpuColumnOrder"/> brings operands; else 0.</summary>
    public nint ColumnOrder => columnOrder?.Address ?? 0;

    /// <summary>Blocks of rows are whole.</summary>
    /// <inheritdoc/>
    public override Weight? Slice(int firstRow, int rowCount) =>
        CoreTiles.AreWholeBlocks(firstRow, rowCount, Rows) && !IsGated && columnOrder is null && Segments is [{ } only]
            ? new GpuPackedWeight([only.Slice(firstRow, rowCount, Columns)], rowCount, Columns, gated: false)
            : null;

    public override void Dispose()
    {
        foreach (GpuPackedSegment segment in Segments) segment.Dispose();
        columnOrder?.Dispose();
    }
}

/// <summary>Rows of a weight that are stored in one format.</summary>
internal sealed class GpuPackedSegment : IDisposable
{
    private readonly GpuBuffer _buffer;
    private readonly bool _ownsBuffer;
    private readonly nint _offset;

    /// <param name="memory">The device's memory.</param>
    /// <param name="format">How it is stored.</param>
    /// <param name="firstRow">Its first row in the weight.</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="gated">Whether gates and ups are kept in turn.</param>
    public GpuPackedSegment(IDeviceMemory memory, PackedFormat format, int firstRow, int rows, int columns, bool gated)
    {
        (Format, FirstRow, Rows, PaddedRows) = (format, firstRow, rows, GpuWeight.CountPaddedRows(rows, gated));
        (Bytes, _ownsBuffer) = (CountBytes(PaddedRows, columns), true);
        _buffer = new GpuBuffer(memory, Bytes);
    }

    private GpuPackedSegment(GpuPackedSegment whole, int firstRow, int rows, int columns)
    {
        (_buffer, Format, Rows, PaddedRows, Scaling) = (whole._buffer, whole.Format, rows, GpuWeight.CountPaddedRows(rows, gated: false), whole.Scaling);
        (_offset, Bytes) = ((nint)(whole._offset + CountBytes(firstRow, columns)), CountBytes(PaddedRows, columns));
    }

    public PackedFormat Format { get; }

    public int FirstRow { get; }

    public int Rows { get; }

    public int PaddedRows { get; }

    /// <summary>How its numbers are scaled.</summary>
    public PackedScaling Scaling { get; set; }

    public nint Address => _buffer.Address + _offset;

    public long Bytes { get; }

    /// <summary>Consecutive rows as a segment of their own, whose memory is this one's: whole blocks of rows.</summary>
    public GpuPackedSegment Slice(int firstRow, int rows, int columns) => new(this, firstRow, rows, columns);

    /// <summary>The segment's part of a product with the whole weight: some columns of y, which are float32 where there are several segments.</summary>
    public MatMulArguments PartOf(GpuPackedWeight weight, MatMulArguments product)
    {
        product.Weight = Address;
        product.WeightRows = PaddedRows;
        product.Scaling = Scaling;
        if (weight.Segments.Count == 1) return product;
        if (product.HalfY != 0) throw new NotSupportedException("Weights that are stored in several formats have results of float32.");
        product.Columns = Rows;
        product.Y += FirstRow * sizeof(float);
        if (product.Bias != 0) product.Bias += FirstRow * sizeof(float);
        return product;
    }

    public void Dispose()
    {
        if (_ownsBuffer) _buffer.Dispose();
    }

    private long CountBytes(int rows, int columns) => CoreTiles.PackedOffset(rows / CoreTiles.TileRows, 0, CoreTiles.PaddedColumns(columns), Format.PieceBytes);
}
