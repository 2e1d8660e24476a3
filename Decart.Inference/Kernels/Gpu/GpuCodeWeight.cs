using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>How the codes of a <see cref="GpuCodeWeight"/> are scaled.</summary>
internal enum CodeScaling
{
    /// <summary>Floats, each row of which has a scale.</summary>
    FloatRows,

    /// <summary>Floats, each piece of a row of which has a scale.</summary>
    FloatPieces,

    /// <summary>Signed integers, each row of which has a scale.</summary>
    IntegerRows,

    /// <summary>Integers of 4 bits, from which 8 is taken away, each piece of a row of which has a scale.</summary>
    NibblePieces,

    /// <summary>Integers of 4 bits, each piece of a row of which has a scale and what is taken away.</summary>
    NibbleZeros,
}

internal static class CodeScalings
{
    /// <summary>Whether rows of x are rounded to integers.</summary>
    public static bool AreIntegers(this CodeScaling scaling) => scaling is not (CodeScaling.FloatRows or CodeScaling.FloatPieces);

    /// <summary>Whether codes have 4 bits.</summary>
    public static bool AreNibbles(this CodeScaling scaling) => scaling is CodeScaling.NibblePieces or CodeScaling.NibbleZeros;
}

/// <summary>A weight of codes of 8 or 4 bits that is multiplied with codes of 8; see <see cref="ByteTiles"/> and <see cref="NibbleTiles"/>.</summary>
internal sealed class GpuCodeWeight : Weight
{
    private readonly GpuBuffer _codes;
    private readonly GpuBuffer? _scales;

    private GpuCodeWeight(int rows, int columns, bool gated, GpuBuffer codes, GpuBuffer? scales, CodeScaling scaling)
        : base(rows, columns) => (IsGated, _codes, _scales, Scaling) = (gated, codes, scales, scaling);

    public bool IsGated { get; }

    public int PaddedRows => GpuWeight.CountPaddedRows(Rows, IsGated);

    /// <summary>What its codes are, and what has a scale.</summary>
    public CodeScaling Scaling { get; }

    public nint Codes => _codes.Address;

    /// <summary>Address of the scales; 0 where they are among the codes.</summary>
    public nint Scales => _scales?.Address ?? 0;

    /// <summary>For each column as it is stored which one it is (int), or null where they are in order; owned.</summary>
    public GpuBuffer? Order { private get; set; }

    /// <inheritdoc cref="GpuPackedWeight.ColumnOrder"/>
    public nint ColumnOrder => Order?.Address ?? 0;

    /// <summary>Lays a weight of codes of 4 bits out; else as <see cref="TryCreate"/>.</summary>
    /// <returns>Null where there are no products for it: where pieces have several scales or zeros.</returns>
    public static GpuCodeWeight? TryCreateNibbles(IGpuDevice device, int rows, int columns, bool gated, Action<CodePackArguments> send)
    {
        int paddedRows = GpuWeight.CountPaddedRows(rows, gated), stride = CoreTiles.PaddedColumns(columns);
        using GpuBuffer unusual = new(device.Memory, sizeof(int));
        GpuBuffer codes = Zeros(device, CoreTiles.PackedOffset(paddedRows / CoreTiles.TileRows, 0, ByteTiles.HalfStride(stride), NibbleTiles.Bytes));
        try
        {
            device.Clear(unusual.Address, unusual.Bytes);
            send(new CodePackArguments
            {
                Destination = codes.Address,
                Unusual = unusual.Address,
                Columns = columns,
                Stride = stride,
                Rows = paddedRows,
                Gates = gated ? rows / 2 : 0,
            });
            int found = Found(device, unusual);
            if ((found & GpuCodePack.InPieces) == 0)
                return new GpuCodeWeight(rows, columns, gated, codes, scales: null, found == 0 ? CodeScaling.NibblePieces : CodeScaling.NibbleZeros);
        }
        catch
        {
            codes.Dispose();
            throw;
        }
        codes.Dispose();
        return null;
    }

    /// <summary>Lays a weight out.</summary>
    /// <param name="device">Where.</param>
    /// <param name="rows">Rows as they were stored.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="gated">Whether the rows are gates followed by as many ups, which are kept in turn.</param>
    /// <param name="integers">Whether codes are integers.</param>
    /// <param name="send">Sends its rows to where <see cref="GpuCodePack.Kernel"/> lays them out.</param>
    /// <returns>Null where there are no products for it: where pieces, or rows of integers, have several scales, or integers unusual zeros.</returns>
    public static GpuCodeWeight? TryCreate(IGpuDevice device, int rows, int columns, bool gated, bool integers, Action<CodePackArguments> send)
    {
        int paddedRows = GpuWeight.CountPaddedRows(rows, gated), stride = CoreTiles.PaddedColumns(columns);
        using GpuBuffer unusual = new(device.Memory, sizeof(int));
        GpuBuffer? codes = null, rowScales = null, pieceScales = null;
        try
        {
            codes = Zeros(device, (long)paddedRows * stride);
            rowScales = Zeros(device, (long)paddedRows * sizeof(float));
            pieceScales = Zeros(device, (long)paddedRows * (stride / ByteTiles.PieceColumns) * sizeof(float));
            device.Clear(unusual.Address, unusual.Bytes);
            CodePackArguments arguments = new()
            {
                Destination = codes.Address,
                PieceScales = pieceScales.Address,
                RowScales = rowScales.Address,
                Unusual = unusual.Address,
                AreIntegers = integers ? 1 : 0,
                Columns = columns,
                Stride = stride,
                Rows = paddedRows,
                Gates = gated ? rows / 2 : 0,
            };
            send(arguments);
            device.Launch(GpuCodePack.ScaleKernel, new GpuGrid(paddedRows), arguments);
            int found = Found(device, unusual);
            bool hasPieceScales = found == GpuCodePack.InRows;
            if (found != 0 && (integers || !hasPieceScales)) return null;
            CodeScaling scaling = integers ? CodeScaling.IntegerRows : hasPieceScales ? CodeScaling.FloatPieces : CodeScaling.FloatRows;
            GpuCodeWeight weight = new(rows, columns, gated, codes, hasPieceScales ? pieceScales : rowScales, scaling);
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
        _scales?.Dispose();
        Order?.Dispose();
    }

    /// <summary>What <see cref="CodePackArguments.Unusual"/> tells.</summary>
    private static int Found(IGpuDevice device, GpuBuffer unusual)
    {
        byte[] found = new byte[sizeof(int)];
        device.Download(unusual.Address, found);
        return BitConverter.ToInt32(found);
    }

    private static GpuBuffer Zeros(IGpuDevice device, long bytes)
    {
        GpuBuffer buffer = new(device.Memory, bytes);
        device.Clear(buffer.Address, bytes);
        return buffer;
    }
}
