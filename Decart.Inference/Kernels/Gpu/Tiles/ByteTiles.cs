namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>The layout of codes of 8 bits, floats or integers, that matmuls multiply: that of <see cref="CoreTiles"/>, two codes in the place of a half. A piece has 128 columns.</summary>
internal static class ByteTiles
{
    public const int PieceColumns = 2 * CoreTiles.PieceColumns;

    /// <summary>Bytes of the scales of a tile's rows in a piece.</summary>
    public const int TileScaleBytes = CoreTiles.TileRows * sizeof(float);

    /// <summary>Padded columns in halves.</summary>
    public static int HalfStride(int stride) => stride / 2;

    /// <summary>Bytes from an operand's first code to a code.</summary>
    /// <param name="row">Row.</param>
    /// <param name="column">Column.</param>
    /// <param name="stride">Padded columns.</param>
    /// <param name="blockRows">A power of two.</param>
    public static long OperandOffset(int row, int column, int stride, int blockRows) =>
        CoreTiles.OperandOffset(row, column >> 1, HalfStride(stride), blockRows) + (column & 1);

    /// <summary>Bytes from a weight's first code to a code.</summary>
    /// <param name="row">Row.</param>
    /// <param name="column">Column.</param>
    /// <param name="rows">Padded rows.</param>
    /// <param name="stride">Padded columns.</param>
    public static long WeightOffset(int row, int column, int rows, int stride) => CoreTiles.WeightOffset(row, column >> 1, rows, HalfStride(stride)) + (column & 1);

    /// <summary>Bytes from the first of a weight's scales to that of a piece of a row: those of a tile follow each other.</summary>
    /// <param name="row">Row.</param>
    /// <param name="piece">Piece.</param>
    /// <param name="stride">Padded columns.</param>
    public static long ScaleOffset(int row, int piece, int stride) =>
        ((((long)(row / CoreTiles.TileRows) * (stride / PieceColumns)) + piece) * TileScaleBytes) + (row % CoreTiles.TileRows * sizeof(float));
}
