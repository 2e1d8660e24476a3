using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Halves in the device's memory, laid out as <see cref="CoreTiles"/>, with padding.</summary>
internal sealed class GpuWeight : Weight
{
    private readonly GpuBuffer _buffer;
    private readonly bool _ownsBuffer;
    private readonly nint _offset;

    /// <param name="memory">The device's memory.</param>
    /// <param name="rows">Rows as they were stored.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="gated">Whether the rows are gates followed by as many ups, which are kept in turn.</param>
    public GpuWeight(IDeviceMemory memory, int rows, int columns, bool gated = false)
        : base(rows, columns)
    {
        (IsGated, PaddedRows, _ownsBuffer) = (gated, CountPaddedRows(rows, gated), true);
        _buffer = new GpuBuffer(memory, Bytes);
    }

    private GpuWeight(GpuWeight whole, int firstRow, int rows)
        : base(rows, whole.Columns)
    {
        (_buffer, PaddedRows) = (whole._buffer, CountPaddedRows(rows, gated: false));
        _offset = whole._offset + (nint)((long)firstRow * PaddedColumns * sizeof(ushort));
    }

    public bool IsGated { get; }

    public int PaddedRows { get; }

    public int PaddedColumns => CoreTiles.PaddedColumns(Columns);

    public nint Address => _buffer.Address + _offset;

    public long Bytes => (long)PaddedRows * PaddedColumns * sizeof(ushort);

    /// <summary>Blocks of rows are whole.</summary>
    /// <inheritdoc/>
    public override Weight? Slice(int firstRow, int rowCount) =>
        CoreTiles.AreWholeBlocks(firstRow, rowCount, Rows) && !IsGated ? new GpuWeight(this, firstRow, rowCount) : null;

    public override void Dispose()
    {
        if (_ownsBuffer) _buffer.Dispose();
    }

    /// <summary>Rows with padding.</summary>
    internal static int CountPaddedRows(int rows, bool gated) =>
        gated ? checked((rows / 2 + 7) / 8 * CoreTiles.TileRows) : CoreTiles.PaddedRows(rows);
}

/// <summary>Float32 in the device's memory, padded with zeros to the stride of a row of that length.</summary>
internal sealed class GpuWeightVector(IDeviceMemory memory, int length) : WeightVector(length)
{
    private readonly GpuBuffer _buffer = new(memory, (long)CoreTiles.PaddedColumns(length) * sizeof(float));

    public long Bytes => _buffer.Bytes;

    public nint Address => _buffer.Address;

    public override void Dispose() => _buffer.Dispose();
}

/// <summary>A rotary embedding whose angles kernels compute.</summary>
/// <param name="inverseFrequencies">Float32, one for each pair; owned.</param>
/// <param name="parameters">The rest.</param>
internal sealed class GpuRotaryTable(GpuBuffer inverseFrequencies, RotaryParameters parameters) : RotaryTable
{
    public nint InverseFrequencies => inverseFrequencies.Address;

    public int Pairs => parameters.Pairs;

    public int Sets => parameters.Sets;

    public int FirstSetLength => parameters.FirstSetLength;

    public float Scale => parameters.Scale;

    public bool Interleaved => parameters.Interleaved;

    public override void Dispose() => inverseFrequencies.Dispose();
}
