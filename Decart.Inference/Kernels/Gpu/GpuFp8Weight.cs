using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A weight of floats of 8 bits that is multiplied with such; see <see cref="Fp8Tiles"/>.</summary>
internal sealed class GpuFp8Weight : Weight
{
    private readonly GpuBuffer _codes, _scales;

    private GpuFp8Weight(int rows, int columns, bool gated, GpuBuffer codes, GpuBuffer scales, bool hasPieceScales)
        : base(rows, columns) => (IsGated, _codes, _scales, HasPieceScales) = (gated, codes, scales, hasPieceScales);

    public bool IsGated { get; }

    public int PaddedRows => GpuWeight.CountPaddedRows(Rows, IsGated);

    /// <summary>Whether pieces of rows have scales of their own, and not only rows.</summary>
    public bool HasPieceScales { get; }

    public nint Codes => _codes.Address;

    public nint Scales => _scales.Address;

    /// <summary>Lays a weight out.</summary>
    /// <param name="device">Where.</param>
    /// <param name="rows">Rows as they were stored.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="gated">Whether the rows are gates followed by as many ups, which are kept in turn.</param>
    /// <param name="send">Sends its rows to where <see cref="GpuFp8Pack.Kernel"/> lays them out.</param>
    /// <returns>Null where pieces have several scales: there are no products for that.</returns>
    public static GpuFp8Weight? TryCreate(IGpuDevice device, int rows, int columns, bool gated, Action<Fp8PackArguments> send)
    {
        int paddedRows = GpuWeight.CountPaddedRows(rows, gated), stride = CoreTiles.PaddedColumns(columns);
        using GpuBuffer unusual = new(device.Memory, sizeof(int));
        GpuBuffer? codes = null, rowScales = null, pieceScales = null;
        try
        {
            codes = Zeros(device, (long)paddedRows * stride);
            rowScales = Zeros(device, (long)paddedRows * sizeof(float));
            pieceScales = Zeros(device, (long)paddedRows * (stride / Fp8Tiles.PieceColumns) * sizeof(float));
            device.Clear(unusual.Address, unusual.Bytes);
            Fp8PackArguments arguments = new()
            {
                Destination = codes.Address,
                PieceScales = pieceScales.Address,
                RowScales = rowScales.Address,
                Unusual = unusual.Address,
                Columns = columns,
                Stride = stride,
                Rows = paddedRows,
                Gates = gated ? rows / 2 : 0,
            };
            send(arguments);
            device.Launch(GpuFp8Pack.ScaleKernel, new GpuGrid(paddedRows), arguments);
            byte[] found = new byte[sizeof(int)];
            device.Download(unusual.Address, found);
            if ((found[0] & GpuFp8Pack.InPieces) != 0) return null;
            bool hasPieceScales = (found[0] & GpuFp8Pack.InRows) != 0;
            GpuFp8Weight weight = new(rows, columns, gated, codes, hasPieceScales ? pieceScales : rowScales, hasPieceScales);
            codes = null;
            if (hasPieceScales) pieceScales = null;
            else rowScales = null;
            return weight;
        }
        finally
        {
            codes?.Dispose();
            rowScales?.Dispose();
            pieceScales?.Dispose();
        }
    }

    public override void Dispose()
    {
        _codes.Dispose();
        _scales.Dispose();
    }

    private static GpuBuffer Zeros(IGpuDevice device, long bytes)
    {
        GpuBuffer buffer = new(device.Memory, bytes);
        device.Clear(buffer.Address, bytes);
        return buffer;
    }
}
