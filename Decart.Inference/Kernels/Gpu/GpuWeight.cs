using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Halves in the device's memory, laid out as <see cref="CoreTiles"/>, with padding.</summary>
/// <param name="memory">The device's memory.</param>
/// <param name="rows">Rows as they were stored.</param>
/// <param name="columns">Columns.</param>
/// <param name="gated">Whether the rows are gates followed by as many ups, which are kept in turn.</param>
internal sealed class GpuWeight(IDeviceMemory memory, int rows, int columns, bool gated = false) : Weight(rows, columns)
{
    private readonly GpuBuffer _buffer = new(memory, (long)CountPaddedRows(rows, gated) * CoreTiles.PaddedColumns(columns) * sizeof(ushort));

    public bool IsGated { get; } = gated;

    public int PaddedRows { get; } = CountPaddedRows(rows, gated);

    public int PaddedColumns { get; } = CoreTiles.PaddedColumns(columns);

    public nint Address => _buffer.Address;

    public long Bytes => _buffer.Bytes;

    public override void Dispose() => _buffer.Dispose();

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
