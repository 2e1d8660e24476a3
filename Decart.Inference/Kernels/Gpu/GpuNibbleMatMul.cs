using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The kernels of products of codes of 4 bits.</summary>
internal static class GpuNibbleMatMul
{
    /// <summary>What the division of work must know.</summary>
    public static IPackedTiles Tiles { get; } = new Layout();

    /// <summary>The kernel for blocks of as many rows of x.</summary>
    public static GpuKernel<MatMulArguments> Kernel<TZeros>(int blockRows)
        where TZeros : INibbleZeros => BlockSums.For<Of4Bits<TZeros>, GpuKernel<MatMulArguments>>(blockRows);

    /// <summary>Bytes of the least stage of a ring, and how many of such there is room for.</summary>
    internal const int StageBytes = 16 * 1024, Stages = Shared.MostBytes / (StageBytes + (2 * MBarrier.Bytes));

    /// <summary>Warp groups that multiply blocks of as many rows of x, as many as there are registers for.</summary>
    internal static int Groups(int blockRows) => blockRows <= 16 ? 4 : blockRows <= 64 ? 3 : 2;

    /// <summary>Pieces of a stage: the more, the larger are copies, but of many rows x leaves no room.</summary>
    internal static int Pieces(int blockRows) => blockRows <= 64 ? 4 : blockRows <= 128 ? 2 : 1;

    private readonly struct Of4Bits<TZeros> : IBlockChoice<GpuKernel<MatMulArguments>>
        where TZeros : INibbleZeros
    {
        public static GpuKernel<MatMulArguments> Of<TSums>()
            where TSums : unmanaged, IHeldSums<TSums>, ICodeSums<TSums> => GpuNibbleMatMul<TSums, TZeros>.Kernel;
    }

    private sealed class Layout : IPackedTiles
    {
        /// <summary>Stages that there are at least.</summary>
        private const int LeastStages = 3;

        public int PieceBytes => NibbleTiles.Bytes;

        /// <summary>One for each warp that multiplies, as far as there is room in a stage.</summary>
        /// <inheritdoc/>
        public int MaxTiles(int blockRows)
        {
            int room = ((Stages * StageBytes / LeastStages / Pieces(blockRows)) - (blockRows * CoreTiles.RowBytes)) / NibbleTiles.Bytes;
            return Math.Min(room, Groups(blockRows) * WarpGroup.Rows / CoreTiles.TileRows);
        }
    }
}

/// <summary>
/// <see cref="GpuRingMatMul{TSums}"/> of a weight of codes of 4 bits, see <see cref="NibbleTiles"/>, and rows of integers of 8: a warp makes integers of its tile's codes in registers, which take few operations, and
/// multiplies them by <c>wgmma</c>. Products of a piece, 128 columns, are exact integers; they are scaled and added to float32 sums in one chain over the pieces, so there are the same bits for any number of rows.
/// Rows of x have a scale each, by which sums are multiplied at the end.
/// </summary>
internal static class GpuNibbleMatMul<TSums, TZeros>
    where TSums : unmanaged, ICodeSums<TSums>
    where TZeros : INibbleZeros
{
    private const int Lanes = 32, GroupWarps = WarpGroup.Threads / Lanes;

    // Fields, not properties: the compiler of kernels takes them as constants.
    private static readonly int Groups = GpuNibbleMatMul.Groups(TSums.Columns), Pieces = GpuNibbleMatMul.Pieces(TSums.Columns);

    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, (Groups + 1) * WarpGroup.Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Stage>.Bytes,
    };

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        Ring<Stage> ring = Ring<Stage>.WithStages(Ring<Stage>.Create(Shared.Base()), Stage.XOffset(a, Pieces) + (Pieces * TSums.Columns * CoreTiles.RowBytes));
        int warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (warp >= Groups * GroupWarps)
        {
            if (Groups == 2) WarpGroup.LowerRegisters(40);
            else WarpGroup.LowerRegisters(32);
            GpuRingMatMul<TSums>.Copy(a, ring, Pieces, warp - (Groups * GroupWarps));
        }
        else
        {
            if (Groups == 4) WarpGroup.RaiseRegisters(112);
            else if (Groups == 3) WarpGroup.RaiseRegisters(160);
            else WarpGroup.RaiseRegisters(232);
            Multiply(a, ring, warp);
        }
    }

    private static void Multiply(MatMulArguments a, Ring<Stage> ring, int warp)
    {
        int first = warp / GroupWarps * GroupWarps, pieces = a.Stride / CoreTiles.PieceColumns, xOffset = Stage.XOffset(a, Pieces);
        GridDependency.Wait();
        int count = Global.LoadInt(a.Count);
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            if (first >= pass.Tiles)
            {
                ring = Ring<Stage>.LetPass(ring, GpuRingMatMul<TSums>.Steps(a, Pieces));
                continue;
            }
            // What a warp without a tile multiplies does not matter.
            int own = (warp < pass.Tiles ? warp : first) * Pieces * NibbleTiles.Bytes;
            TSums sums = default;
            for (int piece = 0; piece < pieces; piece += Pieces)
            {
                Ring<Stage>.Await(ring);
                int left = pieces - piece;
                NibbleRun run = new()
                {
                    Weight = Ring<Stage>.Stage(ring) + own,
                    X = GpuRingMatMul<TSums>.Describe(Ring<Stage>.Stage(ring) + xOffset),
                    Count = left < Pieces ? left : Pieces,
                    Zero = a.HalfY >> 1,
                };
                sums = TSums.AddNibbles<TZeros>(sums, run);
                Ring<Stage>.Release(ring);
                ring = Ring<Stage>.Next(ring);
            }
            if (warp >= pass.Tiles) continue;
            sums = TSums.Scale<RowScales>(sums, new Float2 { A = 1, B = 1 }, a.XScales + ((long)pass.XBlock * TSums.Columns * sizeof(float)));
            StoreTile.Store(a, sums, pass.Tile + warp, pass.XBlock * TSums.Columns, count, reduces: true, raises: true);
        }
    }

    /// <summary>Stages are as large as a launch's tiles need them.</summary>
    private struct Stage : IMatMulRingShape
    {
        public static int TileBytes => NibbleTiles.Bytes;

        public static bool IsPacked => true;

        public static int XOffset(MatMulArguments a, int perStage) => perStage * a.TilesPerPass * NibbleTiles.Bytes;

        public static int Stages => GpuNibbleMatMul.Stages;

        public static int StageBytes => GpuNibbleMatMul.StageBytes;

        public static int Writers => GpuRingMatMul<TSums>.Copiers;

        public static int Readers => Groups * GroupWarps;
    }
}
