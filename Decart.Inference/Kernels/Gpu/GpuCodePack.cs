using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct CodePackArguments
{
    /// <summary>Stored blocks, see <see cref="Packed.PackedE4M3{TGroup}"/>, <see cref="Packed.PackedInt8{TGroup}"/> and <see cref="Packed.PackedInt4{TGroup}"/>: rows of <see cref="Columns"/>.</summary>
    public long Source;

    /// <summary>Codes as <see cref="ByteTiles"/>, or <see cref="NibbleTiles"/>, has a weight's.</summary>
    public long Destination;

    /// <summary>The scales of the pieces of rows, as they are stored: those of a tile's 16 rows by piece, <see cref="ByteTiles.ScaleOffset"/>. Codes of 4 bits have theirs among them.</summary>
    public long PieceScales;

    /// <summary>The scales of rows, where all pieces of each have the same.</summary>
    public long RowScales;

    /// <summary>Address of an int: what scales and zeros are not, see <see cref="GpuCodePack"/>.</summary>
    public long Unusual;

    /// <summary>Weights of a stored block.</summary>
    public int BlockColumns;

    /// <summary>Whether codes are integers, which have a zero behind the scale.</summary>
    public int AreIntegers;

    public int Columns;

    /// <summary>Padded columns and rows of the destination.</summary>
    public int Stride, Rows;

    /// <summary>The weight's row that the source begins with.</summary>
    public int FirstRow;

    /// <summary>Number of gates, whose rows alternate with the ups'; 0 for rows in order.</summary>
    public int Gates;
}

/// <summary>
/// Stored codes of 8 or 4 bits become what <see cref="GpuFp8MatMul{TSums, TScales}"/> multiplies, or as signed integers <see cref="IntegerSums{TSums}"/>, or <see cref="GpuNibbleMatMul{TSums, TZeros}"/>, if scales and zeros are of a kind that these have. All was
/// cleared before.
/// </summary>
internal static class GpuCodePack
{
    /// <summary>
    /// What <see cref="CodePackArguments.Unusual"/> tells: pieces have several scales (or zeros, of 4 bits), for which there are no products; rows have several, so those of pieces are kept; integers have a zero that is not in their
    /// middle.
    /// </summary>
    public const int InPieces = 1, InRows = 2, InZeros = 4;

    /// <summary>Brings rows of codes, and collects their scales: one group a row.</summary>
    public static readonly GpuKernel<CodePackArguments> Kernel = new(Run);

    /// <summary>Collects the scales of rows, and finds whether each has one: one group a padded row.</summary>
    public static readonly GpuKernel<CodePackArguments> ScaleKernel = new(RunScales);

    /// <summary>
    /// Brings rows of codes of 4 bits, see <see cref="Packed.PackedInt4{TGroup}"/>, to where <see cref="NibbleTiles"/> has them, and finds whether each piece has one header: one group a row. Columns behind the last one
    /// have the piece's zero (but 16, which is that of no code).
    /// </summary>
    public static readonly GpuKernel<CodePackArguments> NibbleKernel = new(RunNibbles);

    private const int Chunk = 16;

    /// <summary>The usual zero of stored codes, which are without a sign.</summary>
    private const uint Middle = 128;

    /// <summary>What gives four codes a sign.</summary>
    private const uint SignBits = Middle * 0x0101_0101;

    private static void Run(CodePackArguments a)
    {
        int headerBytes = a.AreIntegers != 0 ? 2 * sizeof(float) : sizeof(float), blockBytes = headerBytes + a.BlockColumns, row = a.FirstRow + Grid.IdxX, perPiece = ByteTiles.PieceColumns / a.BlockColumns;
        long source = a.Source + ((long)Grid.IdxX * (a.Columns / a.BlockColumns) * blockBytes);
        uint signs = a.AreIntegers != 0 ? SignBits : 0;
        if (a.Gates != 0) row = CoreTiles.GatedRow(row, a.Gates);
        for (int column = Group.IdxX * Chunk; column < a.Columns; column += Group.DimX * Chunk)
        {
            int index = column / a.BlockColumns, place = column % a.BlockColumns;
            long block = source + ((long)index * blockBytes), codes = block + headerBytes + place;
            UInt4 chunk = new()
            {
                A = (uint)Global.LoadInt(codes) ^ signs,
                B = (uint)Global.LoadInt(codes + 4) ^ signs,
                C = (uint)Global.LoadInt(codes + 8) ^ signs,
                D = (uint)Global.LoadInt(codes + 12) ^ signs,
            };
            Global.Store16(a.Destination + ByteTiles.WeightOffset(row, column, a.Rows, a.Stride), chunk);
            if (place != 0) continue;
            int scale = Global.LoadInt(block), first = Global.LoadInt(source + ((long)(index / perPiece * perPiece) * blockBytes));
            if (scale != first) Global.Merge(a.Unusual, InPieces);
            if (a.AreIntegers != 0 && Global.LoadFloat(block + sizeof(float)) != Middle) Global.Merge(a.Unusual, InZeros);
            if (index % perPiece == 0) Global.StoreInt(a.PieceScales + ByteTiles.ScaleOffset(row, index / perPiece, a.Stride), scale);
        }
    }

    private static void RunScales(CodePackArguments a)
    {
        int row = Grid.IdxX, pieces = a.Stride / ByteTiles.PieceColumns, first = Load(a, row, 0);
        for (int piece = Group.IdxX; piece < pieces; piece += Group.DimX)
        {
            if (Load(a, row, piece) != first) Global.Merge(a.Unusual, InRows);
        }
        if (Group.IdxX == 0) Global.StoreInt(a.RowScales + ((long)row * sizeof(float)), first);
    }

    private static void RunNibbles(CodePackArguments a)
    {
        const int RunBytes = NibbleTiles.StepColumns / 2, PieceRuns = NibbleTiles.PieceColumns / NibbleTiles.StepColumns;
        int blockBytes = sizeof(uint) + (a.BlockColumns / 2), perBlock = a.BlockColumns / NibbleTiles.StepColumns, row = a.FirstRow + Grid.IdxX;
        long source = a.Source + ((long)Grid.IdxX * (a.Columns / a.BlockColumns) * blockBytes);
        if (a.Gates != 0) row = CoreTiles.GatedRow(row, a.Gates);
        int tileRow = row & (CoreTiles.TileRows - 1);
        for (int run = Group.IdxX; run < a.Stride / NibbleTiles.StepColumns; run += Group.DimX)
        {
            int first = run / PieceRuns * PieceRuns, step = run - first;
            long block = source + ((long)(run / perBlock) * blockBytes), codes = block + sizeof(uint) + (run % perBlock * RunBytes);
            long piece = a.Destination + CoreTiles.PackedOffset(row / CoreTiles.TileRows, run / PieceRuns, ByteTiles.HalfStride(a.Stride), NibbleTiles.Bytes);
            int header = Global.LoadInt(source + ((long)(first / perBlock) * blockBytes));
            uint zero = (uint)header & Int4Header.ZeroBits;
            bool isPadding = run >= a.Columns / NibbleTiles.StepColumns;
            for (int t = 0; t < RunBytes / sizeof(uint); t++)
            {
                int word = (int)(zero * 0x1111_1111);
                if (!isPadding) word = Global.LoadInt(codes + (t * sizeof(uint)));
                Global.StoreInt(piece + NibbleTiles.WordOffset(tileRow, step, t), word);
            }
            if (!isPadding && header != Global.LoadInt(block)) Global.Merge(a.Unusual, InPieces);
            if (zero != Int4Header.Middle) Global.Merge(a.Unusual, InZeros);
            if (step == 0) Global.StoreInt(piece + NibbleTiles.HeaderOffset(tileRow), header);
        }
    }

    private static int Load(CodePackArguments a, int row, int piece) => Global.LoadInt(a.PieceScales + ByteTiles.ScaleOffset(row, piece, a.Stride));
}
