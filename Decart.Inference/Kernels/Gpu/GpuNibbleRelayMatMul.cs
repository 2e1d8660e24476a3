using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The kernels of <see cref="GpuNibbleRelayMatMul{TSums, TTile, TZeros}"/>.</summary>
internal static class GpuNibbleRelayMatMul
{
    /// <summary>The most rows of x of a block, and the most tiles of a group's share: one for each warp of a warp group.</summary>
    public const int MaxRows = 32, MaxTiles = WarpGroup.Rows / CoreTiles.TileRows;

    /// <summary>The kernel for blocks of as many rows of x.</summary>
    public static GpuKernel<MatMulArguments> Kernel<TZeros>(int blockRows)
        where TZeros : INibbleZeros => blockRows switch
        {
            8 => GpuNibbleRelayMatMul<Sums8, Tile8, TZeros>.Kernel,
            16 => GpuNibbleRelayMatMul<Sums16, Tile16, TZeros>.Kernel,
            _ => GpuNibbleRelayMatMul<Sums32, Tile32, TZeros>.Kernel,
        };
}

/// <summary>
/// <see cref="GpuNibbleMatMul{TSums, TZeros}"/> of few tiles and few rows of x, where a warp would take longer for all pieces of its tile than the memory for bringing them. Three or four warp groups take the stages
/// in turn: each makes the products of its stage's pieces, which are exact; then it is given the sums of the tiles by the group before it, scales and adds its products in the order of the pieces, and
/// hands the sums on. So a sum is one chain over all of k, as everywhere.
/// </summary>
internal static class GpuNibbleRelayMatMul<TSums, TTile, TZeros>
    where TSums : unmanaged, ITileSums<TSums, TTile>
    where TTile : unmanaged, ICodeTile<TTile>
    where TZeros : INibbleZeros
{
    private const int Lanes = 32, GroupWarps = WarpGroup.Threads / Lanes, Pieces = 4;

    // Fields, each after those that it is made of, not properties: the compiler of kernels takes them as constants.

    /// <summary>Warp groups that take turns, as many as there are registers for.</summary>
    private static readonly int Groups = TSums.Columns <= 16 ? 4 : 3;

    private static readonly int RelayBytes = SumRelay<TSums>.Bytes, RelaysBytes = Groups * GroupWarps * RelayBytes;

    private static readonly int WeightBytes = Pieces * GroupWarps * NibbleTiles.Bytes, StageBytes = WeightBytes + (Pieces * TSums.Columns * CoreTiles.RowBytes);

    /// <summary>A multiple of the groups: a stage is always the same group's, which sees all its phases.</summary>
    private static readonly int Stages = (Shared.MostBytes - RelaysBytes) / (StageBytes + (2 * MBarrier.Bytes)) / Groups * Groups;

    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, (Groups + 1) * WarpGroup.Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Stage>.Bytes + RelaysBytes,
    };

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        int stages = Shared.Base(), relays = stages + Ring<Stage>.Bytes, warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (Warp.LaneIdx == 0)
        {
            if (warp < Groups * GroupWarps) SumRelay<TSums>.Initialize(relays + (warp * RelayBytes));
            else if (warp == Groups * GroupWarps) Ring<Stage>.Initialize(stages);
        }
        Group.Barrier();
        if (warp >= Groups * GroupWarps)
        {
            WarpGroup.LowerRegisters(32);
            GpuRingMatMul<TSums>.Copy(a, Ring<Stage>.At(stages), Pieces, warp - (Groups * GroupWarps));
        }
        else
        {
            if (Groups == 4) WarpGroup.RaiseRegisters(112);
            else WarpGroup.RaiseRegisters(160);
            Multiply(a, Ring<Stage>.At(stages), relays, warp);
        }
    }

    private static void Multiply(MatMulArguments a, Ring<Stage> ring, int relays, int warp)
    {
        // Tiles are other warps' in each group, so that all four parts of a multiprocessor have work; sums go from warp to warp.
        int group = warp / GroupWarps, tile = (warp - (group * a.TilesPerPass)) & (GroupWarps - 1);
        SumRelay<TSums> before = Place(relays, group, tile), after = Place(relays, (group + 1) % Groups, tile);
        ring = Ring<Stage>.Skip(ring, group);
        int pieces = a.Stride / CoreTiles.PieceColumns, turns = GpuRingMatMul<TSums>.Steps(a, Pieces);
        GridDependency.Wait();
        int count = Global.LoadInt(a.Count);
        // A share of so few tiles is one pass.
        GpuRingMatMulPass pass = GpuRingMatMulPass.First(a);
        if (!GpuRingMatMulPass.Exists(pass)) return;
        bool isMine = tile < pass.Tiles;
        for (int turn = group; turn < turns; turn += Groups)
        {
            bool isLast = turn == turns - 1;
            int left = pieces - (turn * Pieces);
            Ring<Stage>.Await(ring);
            // What a warp without a tile multiplies does not matter, nor what lies in the place of pieces that a last stage does not have.
            NibbleRun run = new()
            {
                Weight = Ring<Stage>.Stage(ring) + ((isMine ? tile : 0) * Pieces * NibbleTiles.Bytes),
                X = GpuRingMatMul<TSums>.Describe(Ring<Stage>.Stage(ring) + WeightBytes),
                Count = left < Pieces ? left : Pieces,
            };
            NibbleQuad<TTile> products = NibbleProducts<TZeros>.MultiplyFour<TTile>(run, MatrixDescriptor.Advance(TSums.Columns * CoreTiles.RowBytes));
            TSums sums = default;
            if (isMine && turn > 0)
            {
                sums = SumRelay<TSums>.Take(before);
                before = SumRelay<TSums>.Next(before);
            }
            sums = TSums.Of(NibbleQuad<TTile>.Add(TSums.ToTile(sums), products, run.Count));
            if (isMine && !isLast)
            {
                SumRelay<TSums>.AwaitEmpty(after);
                SumRelay<TSums>.Give(after, sums);
                after = SumRelay<TSums>.Next(after);
            }
            Ring<Stage>.Release(ring);
            if (isMine && isLast)
            {
                sums = TSums.Scale<RowScales>(sums, new Float2 { A = 1, B = 1 }, a.XScales + ((long)pass.XBlock * TSums.Columns * sizeof(float)));
                StoreTile.Store(a, sums, pass.Tile + tile, pass.XBlock * TSums.Columns, count, reduces: true, raises: true);
            }
            ring = Ring<Stage>.Skip(ring, Groups);
        }
    }

    /// <summary>The one before a group's warp that has such a place among the tiles.</summary>
    private static SumRelay<TSums> Place(int relays, int group, int place) => SumRelay<TSums>.At(relays + (((group * GroupWarps) + place) * RelayBytes));

    private struct Stage : IMatMulRingShape
    {
        public static int TileBytes => NibbleTiles.Bytes;

        public static bool IsPacked => true;

        public static int XOffset(MatMulArguments a, int perStage) => WeightBytes;

        public static int Stages => GpuNibbleRelayMatMul<TSums, TTile, TZeros>.Stages;

        public static int StageBytes => GpuNibbleRelayMatMul<TSums, TTile, TZeros>.StageBytes;

        public static int Writers => GpuRingMatMul<TSums>.Copiers;

        public static int Readers => GroupWarps;
    }
}
