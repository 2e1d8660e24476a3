using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// The matmul on tensor cores by <c>mma.sync</c> (sm_80): each warp multiplies a tile of the weight with
/// <typeparamref name="TSums"/> rows of x, which come a piece at a time into shared memory by <c>cp.async</c>, some pieces ahead. The bits are those of
/// <see cref="GpuRingMatMul{TSums}"/>.
/// </summary>
internal static class GpuTensorMatMul<TSums>
    where TSums : unmanaged, IWarpSums<TSums>
{
    /// <summary>Rows of the weight of a group.</summary>
    public const int WeightRows = Warps * CoreTiles.TileRows;

    /// <summary>Groups: rows of x / <typeparamref name="TSums"/>, which are the rows of an expert's block, rows of the weight / <see cref="WeightRows"/>.</summary>
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, Threads) { SharedBytes = Stages * StageBytes };

    private const int Lanes = 32, Warps = 4, Threads = Warps * Lanes, Stages = 3, ChunkBytes = 16;

    private const int WeightBytes = WeightRows * CoreTiles.RowBytes;

    private static int StageBytes => WeightBytes + (TSums.Columns * CoreTiles.RowBytes);

    private static void Run(MatMulArguments a)
    {
        int warp = Group.IdxX / Lanes, firstTile = Grid.IdxY * Warps, pieces = a.Stride / CoreTiles.PieceColumns, memory = Shared.Base();
        int first = Grid.IdxX * TSums.Columns;
        (long weight, int end) = ExpertBlock.Find(a, Grid.IdxX);
        if (first >= end) return;
        for (int piece = 0; piece < Stages - 1; piece++)
        {
            if (piece < pieces) Copy(a, weight, firstTile, first, end, memory + (piece * StageBytes), piece);
            AsyncCopy.Commit();
        }
        TSums sums = default;
        for (int piece = 0; piece < pieces; piece++)
        {
            AsyncCopy.Wait(Stages - 2);
            Group.Barrier();
            int ahead = piece + Stages - 1;
            if (ahead < pieces) Copy(a, weight, firstTile, first, end, memory + (ahead % Stages * StageBytes), ahead);
            AsyncCopy.Commit();
            sums = Multiply(sums, memory + (piece % Stages * StageBytes), warp);
        }
        StoreTile.Store(a, sums, firstTile + warp, first, end, reduces: false, raises: false);
    }

    /// <summary>Adds the products of a piece, 32 columns at a time.</summary>
    private static TSums Multiply(TSums sums, int stage, int warp)
    {
        // Of four core matrices a lane loads a row of one: of a tile's 16 rows and 16 columns down first, of 8 rows of x and 32 columns to the right.
        int matrix = Warp.LaneIdx / 8, row = Warp.LaneIdx % 8 * ChunkBytes;
        int tile = stage + (warp * CoreTiles.TileBytes) + (matrix % 2 * CoreTiles.CoreRowBytes) + (matrix / 2 * CoreTiles.CoreBytes) + row;
        int x = stage + WeightBytes + (matrix * CoreTiles.CoreBytes) + row;
        UInt4 first = TensorCore.LoadMatrices(tile), second = TensorCore.LoadMatrices(tile + (2 * CoreTiles.CoreBytes));
        sums = TSums.Multiply(sums, first, second, x);
        first = TensorCore.LoadMatrices(tile + (4 * CoreTiles.CoreBytes));
        second = TensorCore.LoadMatrices(tile + (6 * CoreTiles.CoreBytes));
        return TSums.Multiply(sums, first, second, x + (4 * CoreTiles.CoreBytes));
    }

    /// <summary>Starts copying a piece: the tiles that there are, and the rows of x, where the last stands in for those behind it.</summary>
    private static void Copy(MatMulArguments a, long weight, int firstTile, int firstPlace, int end, int stage, int piece)
    {
        int row = firstTile * CoreTiles.TileRows, rows = a.WeightRows - row < WeightRows ? a.WeightRows - row : WeightRows;
        long source = weight + CoreTiles.WeightOffset(row, piece * CoreTiles.PieceColumns, a.WeightRows, a.Stride);
        for (int offset = Group.IdxX * ChunkBytes; offset < rows * CoreTiles.RowBytes; offset += Threads * ChunkBytes)
            AsyncCopy.Start16(stage + offset, source + offset);
        for (int offset = Group.IdxX * ChunkBytes; offset < TSums.Columns * CoreTiles.RowBytes; offset += Threads * ChunkBytes)
        {
            int place = firstPlace + (offset / CoreTiles.CoreRowBytes * 8) + (offset / ChunkBytes % 8), column = offset / CoreTiles.CoreBytes % 8 * 8;
            long x = a.X + CoreTiles.OperandOffset(place < end ? place : end - 1, (piece * CoreTiles.PieceColumns) + column, a.Stride, a.XBlockRows);
            AsyncCopy.Start16(stage + WeightBytes + offset, x);
        }
    }
}
