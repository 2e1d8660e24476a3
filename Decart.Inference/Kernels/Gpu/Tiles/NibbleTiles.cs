namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// The layout of a weight of codes of 4 bits that is multiplied with integers of 8 bits. Its unit is a piece of a tile, 16 rows of 128 columns (see <see cref="CoreTiles.PackedOffset"/> for their order): codes as
/// <see cref="Intrinsics.WarpGroup.MultiplyIntegerRows8"/> takes the left operand, in four steps of 32 columns, and the <see cref="Kernels.Cpu.Formats.Int4Header"/> of each row. A lane has a word for each step and
/// row, whose bytes have in their low nibbles its columns 4 t to 4 t + 3, in the high ones the columns 16 further: the order in which blocks are stored. Those of two steps are 16 bytes, those of the others
/// <see cref="PlaneBytes"/> behind.
/// </summary>
internal static class NibbleTiles
{
    public const int PieceColumns = ByteTiles.PieceColumns;

    /// <summary>Bytes of the codes of two steps.</summary>
    public const int PlaneBytes = 32 * LaneBytes;

    /// <summary>Bytes of a lane in a plane.</summary>
    public const int LaneBytes = 16;

    /// <summary>Bytes of the codes.</summary>
    public const int CodeBytes = 2 * PlaneBytes;

    /// <summary>Bytes of a piece of a tile.</summary>
    public const int Bytes = CodeBytes + (CoreTiles.TileRows * sizeof(uint));

    /// <summary>Columns of a step.</summary>
    public const int StepColumns = 32;

    /// <summary>Bytes from the beginning of a piece to a word of codes.</summary>
    /// <param name="row">Row of the tile.</param>
    /// <param name="step">Step of the piece.</param>
    /// <param name="t">Which four columns, and those 16 further.</param>
    public static int WordOffset(int row, int step, int t) =>
        (step / 2 * PlaneBytes) + ((((row & 7) * 4) + t) * LaneBytes) + (step % 2 * 2 * sizeof(uint)) + (row / 8 * sizeof(uint));

    /// <summary>Bytes from the beginning of a piece to the header of a row.</summary>
    public static int HeaderOffset(int row) => CodeBytes + (row * sizeof(uint));
}
