using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// The one layout of what matmuls multiply: weights and operands. The unit is a core matrix, 8 rows of 8 halves, 128 dense bytes, which <c>ldmatrix</c> and
/// <c>wgmma</c> read without bank conflicts. Rows lie in blocks; a block is
/// <code>
/// [piece of 64 columns][8 rows][8 columns][core matrix]
/// </code>
/// so that any neighbouring rows of a piece are one range of bytes for a bulk copy: 2 KiB for 16 rows, 16 KiB for 128. Columns are padded to pairs of pieces.
/// </summary>
internal static class CoreTiles
{
    /// <summary>Rows of a tile, what a warp multiplies with: weights are padded to tiles.</summary>
    public const int TileRows = 16;

    public const int PieceColumns = 64;

    /// <summary>Rows of a block of a weight; the last one has what is left.</summary>
    public const int WeightBlockRows = 128;

    /// <summary>Bytes of a row of a piece.</summary>
    public const int RowBytes = PieceColumns * sizeof(ushort);

    /// <summary>Bytes of 16 rows of a piece.</summary>
    public const int TileBytes = TileRows * RowBytes;

    /// <summary>Rows of a core matrix.</summary>
    public const int CoreRows = 8;

    /// <summary>Bytes from a core matrix to its right neighbour, and to the one below.</summary>
    public const int CoreBytes = 128, CoreRowBytes = CoreRows * RowBytes;

    public static int PaddedColumns(int columns) => checked((columns + (2 * PieceColumns) - 1) / (2 * PieceColumns) * (2 * PieceColumns));

    public static int PaddedRows(int rows) => checked((rows + TileRows - 1) / TileRows * TileRows);

    /// <summary>The row of the weight where a gate's or an up's stands: 8 gates, their 8 ups, and so on, so that a thread holds both sums of a column.</summary>
    /// <param name="row">Row of the gates followed by the ups.</param>
    /// <param name="columns">Number of gates.</param>
    public static int GatedRow(int row, int columns)
    {
        int up = row >= columns ? 1 : 0, column = row - (up * columns);
        return (column / 8 * TileRows) + (up * 8) + (column % 8);
    }

    /// <summary>Rows of the largest block of an operand.</summary>
    public const int MaxBlockRows = 256;

    /// <summary>Rows of a block of an operand, so that a batch's rows fill it as far as can be.</summary>
    public static int OperandBlockRows(int rows) => rows switch
    {
        <= 8 => 8,
        <= 16 => 16,
        <= 32 => 32,
        <= 64 => 64,
        <= 128 => 128,
        _ => MaxBlockRows,
    };

    /// <summary>The descriptor of core matrices whose lower half is given.</summary>
    public static long Descriptor(int lower) => MatrixDescriptor.Plain(lower, CoreRowBytes);

    /// <summary>Bytes from a weight's first element to an element.</summary>
    /// <param name="row">Row.</param>
    /// <param name="column">Column.</param>
    /// <param name="rows">Padded rows of the weight.</param>
    /// <param name="stride">Padded columns.</param>
    public static long WeightOffset(int row, int column, int rows, int stride)
    {
        int first = row & -WeightBlockRows;
        return ((long)first * stride * sizeof(ushort)) + Offset(row - first, column, Least(WeightBlockRows, rows - first));
    }

    /// <summary>Whether rows of a weight are whole blocks, so that they are a weight of their own where they lie.</summary>
    /// <param name="firstRow">The first of them.</param>
    /// <param name="rowCount">How many.</param>
    /// <param name="rows">Rows of the weight.</param>
    public static bool AreWholeBlocks(int firstRow, int rowCount, int rows) =>
        firstRow % WeightBlockRows == 0 && (rowCount % WeightBlockRows == 0 || firstRow + rowCount == rows);

    /// <summary>Bytes from a packed weight's first piece to another: all pieces of a tile lie behind each other, for copies of many.</summary>
    /// <param name="tile">The piece's tile.</param>
    /// <param name="piece">Its place in the tile.</param>
    /// <param name="stride">Padded columns of the weight.</param>
    /// <param name="pieceBytes">Bytes of a piece.</param>
    public static long PackedOffset(int tile, int piece, int stride, int pieceBytes) => (((long)tile * (stride / PieceColumns)) + piece) * pieceBytes;

    /// <summary>Bytes from an operand's first element to an element.</summary>
    /// <param name="row">Row.</param>
    /// <param name="column">Column.</param>
    /// <param name="stride">Padded columns.</param>
    /// <param name="blockRows">See <see cref="OperandBlockRows"/>; a power of two.</param>
    public static long OperandOffset(int row, int column, int stride, int blockRows)
    {
        int first = row & -blockRows;
        return ((long)first * stride * sizeof(ushort)) + Offset(row - first, column, blockRows);
    }

    /// <summary>Bytes from a block's first element to an element.</summary>
    private static long Offset(int row, int column, int blockRows) =>
        ((long)(column >> 6) * blockRows * RowBytes) + ((row >> 3) * CoreRowBytes) + (((column >> 3) & 7) * CoreBytes)
        + ((row & 7) * 8 * sizeof(ushort)) + ((column & 7) * sizeof(ushort));

    private static int Least(int a, int b) => a < b ? a : b;
}
