using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// <see cref="GpuHeldMatMul{TFormat, TScaling, TSums}"/> of passes of up to four tiles and few rows of x, which one warp group would have to itself while making halves takes it far longer than multiplying them. Several
/// take turns: a group makes halves of a stage in registers while those before it multiply; then it is given the sums, adds its products and hands them on. So a sum is one chain over all of k, as everywhere.
/// </summary>
internal static class GpuRelayMatMul<TFormat, TScaling, TSums>
    where TFormat : IPackedFormat
    where TScaling : IPackedScaling
    where TSums : unmanaged, IRelaySums<TSums>
{
    private const int Lanes = 32, GroupWarps = WarpGroup.Threads / Lanes;

    /// <summary>The most tiles of a pass, one for each warp of a group.</summary>
    public const int MaxTiles = GroupWarps;

    // Fields, each after those that it is made of, not properties: the compiler of kernels takes them as constants.

    /// <summary>
    /// Pieces of a turn, as many as there are registers for: with more, sums are handed on less often, but there are fewer groups, which is slower where making halves takes longest.
    /// </summary>
    private static readonly int Pieces = TSums.Columns == 8 && TScaling.Kind != PackedScaling.Floats && PackedTile<TFormat>.Bytes <= 640 ? 6 : 4;

    private static readonly int WeightBytes = Pieces * MaxTiles * PackedTile<TFormat>.Bytes;

    private static readonly int StageBytes = WeightBytes + (Pieces * TSums.Columns * CoreTiles.RowBytes);

    /// <summary>Warp groups that take turns, as many as there are registers for; another one copies: registers are given and taken by warp groups.</summary>
    private static readonly int Runners = TSums.Columns <= 16 && Pieces == 4 ? 4 : 3;

    /// <summary>A multiple of the groups: a stage is always the same group's, which sees all its phases.</summary>
    private static readonly int Stages = (Shared.MostBytes - (Runners * GroupWarps * SumRelay<TSums>.Bytes)) / (StageBytes + (2 * MBarrier.Bytes)) / Runners * Runners;

    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, (Runners + 1) * WarpGroup.Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Stage>.Bytes + (Runners * GroupWarps * SumRelay<TSums>.Bytes),
        Parts = [((Func<int, PiecePair<HeldPiece>>)Unpack).Method],
    };

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        int stages = Shared.Base(), relays = stages + Ring<Stage>.Bytes, warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (Warp.LaneIdx == 0)
        {
            if (warp < Runners * GroupWarps) SumRelay<TSums>.Initialize(relays + (warp * SumRelay<TSums>.Bytes));
            else if (warp == Runners * GroupWarps) Ring<Stage>.Initialize(stages);
        }
        Group.Barrier();
        if (warp >= Runners * GroupWarps)
        {
            WarpGroup.LowerRegisters(32);
            GpuRingMatMul<TSums>.Copy(a, Ring<Stage>.At(stages), Pieces, warp - (Runners * GroupWarps));
        }
        else
        {
            if (Runners == 4) WarpGroup.RaiseRegisters(112);
            else WarpGroup.RaiseRegisters(160);
            Multiply(a, Ring<Stage>.At(stages), relays, warp);
        }
    }

    private static void Multiply(MatMulArguments a, Ring<Stage> ring, int relays, int warp)
    {
        // Turns go round the groups, and on with the next pass's.
        int group = warp / GroupWarps, turn = group;
        // Tiles are other warps' in each group, so that all four parts of a multiprocessor have work; sums go from warp to warp.
        int tile = (warp - (group * a.TilesPerPass)) & (GroupWarps - 1);
        SumRelay<TSums> before = Place(relays, group, tile), after = Place(relays, (group + 1) % Runners, tile);
        ring = Ring<Stage>.Skip(ring, group);
        int turns = GpuRingMatMul<TSums>.Steps(a, Pieces), lastPieces = GpuRingMatMul<TSums>.Pieces(a, turns - 1, Pieces);
        GridDependency.Wait();
        int count = Global.LoadInt(a.Count);
        // What a warp without a tile multiplies does not matter.
        PiecePair<HeldPiece> front = default, middle = default, back = default;
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            for (; turn < turns; turn += Runners)
            {
                bool isMine = tile < pass.Tiles, isLast = turn == turns - 1;
                Ring<Stage>.Await(ring);
                if (isMine)
                {
                    // A last stage with fewer pieces has something in the place of the others.
                    int first = Ring<Stage>.Stage(ring) + (tile * Pieces * PackedTile<TFormat>.Bytes);
                    front = Unpack(first);
                    middle = Unpack(first + (2 * PackedTile<TFormat>.Bytes));
                    if (Pieces > 4) back = Unpack(first + (4 * PackedTile<TFormat>.Bytes));
                }
                int x = GpuRingMatMul<TSums>.Describe(Ring<Stage>.Stage(ring) + WeightBytes), middleX = x + (2 * HeldProducts<TSums>.NextX), backX = x + (4 * HeldProducts<TSums>.NextX);
                if (isLast && lastPieces <= 4)
                {
                    // What is not there counts as nothing.
                    back = default;
                    backX = x;
                    if (lastPieces <= 2)
                    {
                        middle = default;
                        middleX = x;
                    }
                }
                TSums sums = default;
                if (isMine && !isLast) SumRelay<TSums>.AwaitEmpty(after);
                if (isMine && turn > 0)
                {
                    sums = SumRelay<TSums>.Take(before);
                    before = SumRelay<TSums>.Next(before);
                }
                WarpGroup.Fence();
                sums = HeldProducts<TSums>.Add(sums, front, x);
                sums = HeldProducts<TSums>.Add(sums, middle, middleX);
                if (Pieces > 4) sums = HeldProducts<TSums>.Add(sums, back, backX);
                WarpGroup.Commit();
                WarpGroup.Wait(0);
                if (isMine && !isLast)
                {
                    SumRelay<TSums>.Give(after, sums);
                    after = SumRelay<TSums>.Next(after);
                }
                Ring<Stage>.Release(ring);
                if (isLast)
                {
                    if (isMine) StoreTile.Store(a, sums, pass.Tile + tile, pass.XBlock * TSums.Columns, GpuRingMatMulPass.End(a, pass, count), reduces: true, raises: false);
                    // Its registers are free while sums are stored.
                    front = middle = back = default;
                }
                ring = Ring<Stage>.Skip(ring, Runners);
            }
            turn -= turns;
        }
    }

    /// <summary>The one before a group's warp that has such a place among the tiles.</summary>
    private static SumRelay<TSums> Place(int relays, int group, int place) => SumRelay<TSums>.At(relays + (((group * GroupWarps) + place) * SumRelay<TSums>.Bytes));

    /// <summary>Halves of two pieces of a tile.</summary>
    private static PiecePair<HeldPiece> Unpack(int first) => TScaling.Unpack<TFormat, HeldPiece>(first, first + PackedTile<TFormat>.Bytes, default);

    private struct Stage : IMatMulRingShape
    {
        public static int TileBytes => PackedTile<TFormat>.Bytes;

        public static bool IsPacked => true;

        public static int XOffset(MatMulArguments a, int perStage) => WeightBytes;

        public static int Stages => GpuRelayMatMul<TFormat, TScaling, TSums>.Stages;

        public static int StageBytes => GpuRelayMatMul<TFormat, TScaling, TSums>.StageBytes;

        public static int Writers => GpuRingMatMul<TSums>.Copiers;

        public static int Readers => GroupWarps;
    }
}
