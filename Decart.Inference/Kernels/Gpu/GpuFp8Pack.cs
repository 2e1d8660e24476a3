using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct Fp8PackArguments
{
    /// <summary>Stored blocks, see <see cref="Packed.PackedE4M3{TGroup}"/>: rows of <see cref="Columns"/>.</summary>
    public long Source;

    /// <summary>Codes as <see cref="Fp8Tiles"/> has a weight's.</summary>
    public long Destination;

    /// <summary>The scales of the pieces of rows, as they are stored: those of a tile's 16 rows by piece, <see cref="Fp8Tiles.ScaleOffset"/>.</summary>
    public long PieceScales;

    /// <summary>The scales of rows, where all pieces of each have the same.</summary>
    public long RowScales;

    /// <summary>Address of an int: what the scales are not, see <see cref="GpuFp8Pack"/>.</summary>
    public long Unusual;

    /// <summary>Weights of a stored block.</summary>
    public int BlockColumns;

    public int Columns;

    /// <summary>Padded columns and rows of the destination.</summary>
    public int Stride, Rows;

    /// <summary>The weight's row that the source begins with.</summary>
    public int FirstRow;

    /// <summary>Number of gates, whose rows alternate with the ups'; 0 for rows in order.</summary>
    public int Gates;
}

/// <summary>Stored floats of 8 bits become what <see cref="GpuFp8MatMul{TSums, TScales}"/> multiplies, if their scales are of a kind that it has. All was cleared before.</summary>
internal static class GpuFp8Pack
{
    /// <summary>What <see cref="Fp8PackArguments.Unusual"/> tells: pieces have several scales, for which there are no products; rows have several, so those of pieces are kept.</summary>
    public const int InPieces = 1, InRows = 2;

    /// <summary>Brings rows of codes, and collects their scales: one group a row.</summary>
    public static readonly GpuKernel<Fp8PackArguments> Kernel = new(Run);

    /// <summary>Collects the scales of rows, and finds whether each has one: one group a padded row.</summary>
    public static readonly GpuKernel<Fp8PackArguments> ScaleKernel = new(RunScales);

    private const int Chunk = 16;

    private static void Run(Fp8PackArguments a)
    {
        int blockBytes = sizeof(float) + a.BlockColumns, row = a.FirstRow + Grid.IdxX, perPiece = Fp8Tiles.PieceColumns / a.BlockColumns;
        long source = a.Source + ((long)Grid.IdxX * (a.Columns / a.BlockColumns) * blockBytes);
        if (a.Gates != 0) row = CoreTiles.GatedRow(row, a.Gates);
        for (int column = Group.IdxX * Chunk; column < a.Columns; column += Group.DimX * Chunk)
        {
            int index = column / a.BlockColumns, place = column % a.BlockColumns;
            long block = source + ((long)index * blockBytes), codes = block + sizeof(float) + place;
            UInt4 chunk = new()
            {
                A = (uint)Global.LoadInt(codes),
                B = (uint)Global.LoadInt(codes + 4),
                C = (uint)Global.LoadInt(codes + 8),
                D = (uint)Global.LoadInt(codes + 12),
            };
            Global.Store16(a.Destination + Fp8Tiles.WeightOffset(row, column, a.Rows, a.Stride), chunk);
            if (place != 0) continue;
            int scale = Global.LoadInt(block), first = Global.LoadInt(source + ((long)(index / perPiece * perPiece) * blockBytes));
            if (scale != first) Global.Merge(a.Unusual, InPieces);
            if (index % perPiece == 0) Global.StoreInt(a.PieceScales + Fp8Tiles.ScaleOffset(row, index / perPiece, a.Stride), scale);
        }
    }

    private static void RunScales(Fp8PackArguments a)
    {
        int row = Grid.IdxX, pieces = a.Stride / Fp8Tiles.PieceColumns, first = Load(a, row, 0);
        for (int piece = Group.IdxX; piece < pieces; piece += Group.DimX)
        {
            if (Load(a, row, piece) != first) Global.Merge(a.Unusual, InRows);
        }
        if (Group.IdxX == 0) Global.StoreInt(a.RowScales + ((long)row * sizeof(float)), first);
    }

    private static int Load(Fp8PackArguments a, int row, int piece) => Global.LoadInt(a.PieceScales + Fp8Tiles.ScaleOffset(row, piece, a.Stride));
}
