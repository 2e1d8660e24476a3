using Decart.Inference.Kernels.Cpu.Formats;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The kernels of <see cref="GpuFp8MatMul{TSums, TScales}"/>.</summary>
internal static class GpuFp8MatMul
{
    /// <summary>The kernel for blocks of as many rows of x.</summary>
    public static GpuKernel<MatMulArguments> Kernel<TScales>(int blockRows)
        where TScales : ICodeScales => BlockSums.For<Of8Bits<TScales>, GpuKernel<MatMulArguments>>(blockRows);

    private readonly struct Of8Bits<TScales> : IBlockChoice<GpuKernel<MatMulArguments>>
        where TScales : ICodeScales
    {
        public static GpuKernel<MatMulArguments> Of<TSums>()
            where TSums : unmanaged, IHeldSums<TSums>, ICodeSums<TSums> => GpuFp8MatMul<TSums, TScales>.Kernel;
    }
}

/// <summary>
/// <see cref="GpuRingMatMul{TSums}"/> of floats of 8 bits on both sides, for checkpoints that are to be multiplied so: <c>wgmma</c> of codes as they lie in memory, whatever the number of rows.
/// Its sums keep few bits, so those of a piece, 128 columns, are added to float32 sums, as DeepSeek-V3 (arXiv:2412.19437, section 3.3.2) has it: one chain over the pieces. Rows of x have a scale each, by which
/// sums are multiplied at the end: 8-bit floats lose the same few bits at any scale, and loading one for each piece took as long as the products.
/// </summary>
internal static class GpuFp8MatMul<TSums, TScales>
    where TSums : unmanaged, ICodeSums<TSums>
    where TScales : ICodeScales
{
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, GpuRingMatMul<TSums>.Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<GpuRingMatMul<TSums>.Shape>.Bytes,
    };

    private const int Lanes = 32, Readers = GpuRingMatMul<TSums>.Readers;

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        // Few large stages: more small ones took longer here.
        Ring<GpuRingMatMul<TSums>.Shape> ring = Ring<GpuRingMatMul<TSums>.Shape>.WithStages(Ring<GpuRingMatMul<TSums>.Shape>.Create(Shared.Base()), GpuRingMatMul<TSums>.StageBytes);
        int warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (warp >= Readers)
        {
            if (TSums.Columns > 64) WarpGroup.LowerRegisters(40);
            GpuRingMatMul<TSums>.Copy(a, ring, GpuRingMatMul<TSums>.PiecesPerStage(a), warp - Readers);
        }
        else
        {
            if (TSums.Columns > 64) WarpGroup.RaiseRegisters(232);
            Multiply(a, ring, warp);
        }
    }

    private static void Multiply<TShape>(MatMulArguments a, Ring<TShape> ring, int warp)
        where TShape : IMatMulRingShape
    {
        int first = warp / 4 * GpuRingMatMul<TSums>.WarpGroupTiles, pieces = a.Stride / CoreTiles.PieceColumns, count = 0;
        int perStage = GpuRingMatMul<TSums>.PiecesPerStage(a), xOffset = GpuRingMatMul<TSums>.XOffset(a);
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            if (first >= pass.Tiles)
            {
                ring = Ring<TShape>.LetPass(ring, GpuRingMatMul<TSums>.Steps(a, perStage));
                continue;
            }
            int tile = pass.Tile + (warp < pass.Tiles ? warp : 0);
            long scales = a.Scales;
            if (TScales.ArePieces)
            {
                scales += ByteTiles.ScaleOffset(tile * CoreTiles.TileRows, 0, pieces * ByteTiles.PieceColumns);
                for (int line = Warp.LaneIdx; line < (pieces + 1) / 2; line += Lanes) Global.Prefetch(scales + (line * 2 * ByteTiles.TileScaleBytes));
            }
            else
            {
                scales += (long)tile * ByteTiles.TileScaleBytes;
            }
            scales += (Warp.LaneIdx >> 2) * sizeof(float);
            Float2 weightScales = LoadScales(scales);
            if (count == 0)
            {
                GridDependency.Wait();
                count = Global.LoadInt(a.Count);
            }
            CodePiece piece = default;
            TSums sums = default;
            int place = 0;
            for (int done = 0; done < pieces;)
            {
                if (place == 0)
                {
                    piece.A = GpuRingMatMul<TSums>.Describe(Ring<TShape>.Stage(ring) + (first * CoreTiles.TileBytes));
                    piece.B = GpuRingMatMul<TSums>.Describe(Ring<TShape>.Stage(ring) + xOffset);
                    Ring<TShape>.Await(ring);
                }
                bool two = TSums.CodePieces > 1 && place + 1 < perStage && done + 1 < pieces;
                CodePiece next = Next(piece, pass);
                piece.Weight = weightScales;
                if (TScales.ArePieces)
                {
                    if (TSums.CodePieces > 1) next.Weight = LoadScales(scales + (Least(done + 1, pieces - 1) * ByteTiles.TileScaleBytes));
                    weightScales = LoadScales(scales + (Least(done + (two ? 2 : 1), pieces - 1) * ByteTiles.TileScaleBytes));
                }
                sums = TSums.AddCodes<TScales>(sums, piece, next, two);
                piece = two ? Next(next, pass) : next;
                place += two ? 2 : 1;
                done += two ? 2 : 1;
                if (place == perStage || done == pieces)
                {
                    Ring<TShape>.Release(ring);
                    ring = Ring<TShape>.Next(ring);
                    place = 0;
                }
            }
            if (warp >= pass.Tiles) continue;
            if (TScales.ArePieces) weightScales = new Float2 { A = 1, B = 1 };
            sums = TSums.Scale<TScales>(sums, weightScales, a.XScales + ((long)pass.XBlock * TSums.Columns * sizeof(float)));
            StoreTile.Store(a, sums, tile, pass.XBlock * TSums.Columns, count, reduces: true, raises: true);
        }
    }

    /// <summary>The piece behind another one in a stage.</summary>
    private static CodePiece Next(CodePiece piece, GpuRingMatMulPass pass)
    {
        piece.A += MatrixDescriptor.Advance(pass.Tiles * CoreTiles.TileBytes);
        piece.B += MatrixDescriptor.Advance(TSums.Columns * CoreTiles.RowBytes);
        return piece;
    }

    private static int Least(int a, int b) => a < b ? a : b;

    /// <summary>The scales of the lane's two rows of the weight; codes of blocks have them times 2^120.</summary>
    private static Float2 LoadScales(long address)
    {
        const float Factor = 1 / E4M3Header.Factor;
        return new Float2 { A = Global.LoadFloat(address) * Factor, B = Global.LoadFloat(address + (8 * sizeof(float))) * Factor };
    }
}
