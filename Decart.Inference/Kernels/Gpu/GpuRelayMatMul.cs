using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// <see cref="GpuRingMatMul{TSums}"/> of a weight of few bits with few rows of x. One warp copies packed tiles and x into a ring. Several others share each tile and take the ring's
/// stages in turn: each makes halves of its stage in registers, which never see shared memory, while those before it multiply; then it is given the sums, adds its products, and
/// hands them on. So a sum is one chain over all of k, as everywhere, and the bits are those of the weight that it would be widened to.
/// </summary>
internal static class GpuRelayMatMul<TFormat, TSums>
    where TFormat : IPackedFormat
    where TSums : unmanaged, IWarpSums<TSums>
{
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Stage>.Bytes + RelayBytes,
    };

    /// <summary>Warps that take turns, and one that copies, whose warp group has three more: registers are given and taken by warp groups.</summary>
    private const int Lanes = 32, Runners = 16, Threads = (Runners + 4) * Lanes;

    /// <summary>What a group may have.</summary>
    private const int MaxSharedBytes = 227 * 1024;

    /// <summary>The most warps that share a tile: a chain of products is no faster with more.</summary>
    private const int MaxTeam = 8;

    /// <summary>Pieces of a stage: as many as there are registers for, since handing on takes time.</summary>
    private const int Pieces = 4;

    private static int RelayBytes => Runners * Ring<Relay>.Bytes;

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        int stages = Shared.Base(), relays = stages + Ring<Stage>.Bytes, warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (Warp.LaneIdx == 0)
        {
            if (warp < Runners) Ring<Relay>.Initialize(RelayOf(relays, warp));
            else if (warp == Runners) Ring<Stage>.Initialize(stages);
        }
        Group.Barrier();
        if (warp >= Runners)
        {
            WarpGroup.LowerRegisters(32);
            if (warp == Runners) GpuRingMatMul<TSums>.Copy(a, Ring<Stage>.At(stages), Pieces);
        }
        else
        {
            WarpGroup.RaiseRegisters(112);
            Multiply(a, Ring<Stage>.At(stages), relays, warp);
        }
    }

    private static void Multiply(MatMulArguments a, Ring<Stage> ring, int relays, int warp)
    {
        int team = Team(a), tile = warp / team, runner = warp - (tile * team);
        if (tile >= a.TilesPerPass) return;
        Ring<Relay> before = Ring<Relay>.At(RelayOf(relays, warp)), after = Ring<Relay>.At(RelayOf(relays, runner + 1 == team ? warp - runner : warp + 1));
        ring = Ring<Stage>.Skip(ring, runner);
        int steps = GpuRingMatMul<TSums>.Steps(a, Pieces), step = runner, lastPieces = GpuRingMatMul<TSums>.Pieces(a, steps - 1, Pieces);
        GridDependency.Wait();
        int count = Global.LoadInt(a.Count);
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            if (tile >= pass.Tiles) continue;
            // A stage is released by the warps of its tiles; the first one's stands in for those that are lacking.
            int releases = tile == 0 ? GpuRingMatMulPass.MaxTiles + 1 - pass.Tiles : 1, advance = pass.Tiles * PackedTile<TFormat>.Bytes;
            for (; step < steps; step += team)
            {
                Ring<Stage>.Await(ring);
                HeldFragments weight = Unpack(Ring<Stage>.Stage(ring) + (tile * PackedTile<TFormat>.Bytes), advance, a.HalfScales);
                int x = Ring<Stage>.Stage(ring) + Stage.WeightBytes + (Warp.LaneIdx * (CoreTiles.CoreBytes / 8)), secondX = x + (2 * XPieceBytes);
                bool isLast = step == steps - 1;
                if (isLast && lastPieces <= 2)
                {
                    // What is not there counts as nothing.
                    weight.Third = weight.Fourth = default;
                    secondX = x;
                }
                if (!isLast) Ring<Relay>.AwaitEmpty(after);
                TSums sums = default;
                if (step > 0)
                {
                    Ring<Relay>.Await(before);
                    sums = TSums.Load(Ring<Relay>.Stage(before) + OwnSums);
                    Ring<Relay>.Release(before);
                    before = Ring<Relay>.Next(before);
                }
                sums = Multiply(Multiply(sums, weight.First, x), weight.Second, x + XPieceBytes);
                sums = Multiply(Multiply(sums, weight.Third, secondX), weight.Fourth, secondX + XPieceBytes);
                if (isLast)
                {
                    StoreTile.Store(a, sums, pass.Tile + tile, pass.XBlock * TSums.Columns, GpuRingMatMulPass.End(a, pass, count), reduces: true);
                }
                else
                {
                    TSums.Store(sums, Ring<Relay>.Stage(after) + OwnSums);
                    Warp.Barrier();
                    if (Warp.LaneIdx == 0) MBarrier.Arrive(Ring<Relay>.Full(after));
                    after = Ring<Relay>.Next(after);
                }
                Warp.Barrier();
                if (Warp.LaneIdx < releases) MBarrier.Arrive(Ring<Stage>.Empty(ring));
                ring = Ring<Stage>.Skip(ring, team);
            }
            step -= steps;
        }
    }

    /// <summary>A stage's halves of a tile. A last stage with fewer pieces has something in the place of the others.</summary>
    private static HeldFragments Unpack(int first, int advance, int halfScales)
    {
        HeldFragments held = default;
        if (TFormat.HasHalfScales && halfScales != 0)
        {
            held = PackedTile<TFormat>.UnpackByHalves(first, first + advance, 0, held);
            held = PackedTile<TFormat>.UnpackByHalves(first + (2 * advance), first + (3 * advance), 2, held);
        }
        else
        {
            held = PackedTile<TFormat>.Unpack(first, first + advance, 0, held);
            held = PackedTile<TFormat>.Unpack(first + (2 * advance), first + (3 * advance), 2, held);
        }
        return held;
    }

    private static TSums Multiply(TSums sums, HeldPiece weight, int x)
    {
        sums = TSums.Multiply(sums, weight.Step0, weight.Step1, x);
        return TSums.Multiply(sums, weight.Step2, weight.Step3, x + (4 * CoreTiles.CoreBytes));
    }

    private static int RelayOf(int relays, int warp) => relays + (warp * Ring<Relay>.Bytes);

    /// <summary>Where the calling lane's sums are in a relay's stage.</summary>
    private static int OwnSums => Warp.LaneIdx * 4 * sizeof(float);

    private static int XPieceBytes => TSums.Columns * CoreTiles.RowBytes;

    /// <summary>Warps that share a tile.</summary>
    private static int Team(MatMulArguments a)
    {
        int team = Runners / a.TilesPerPass, most = Stage.Stages < MaxTeam ? Stage.Stages : MaxTeam;
        return team < most ? team : most;
    }

    private struct Stage : IMatMulRingShape
    {
        public static int TileBytes => PackedTile<TFormat>.Bytes;

        public static int WeightBytes => Pieces * GpuRingMatMulPass.MaxTiles * TileBytes;

        public static int Stages => (MaxSharedBytes - RelayBytes) / (StageBytes + (2 * MBarrier.Bytes));

        public static int StageBytes => WeightBytes + (Pieces * XPieceBytes);

        public static int Writers => 1;

        public static int Readers => GpuRingMatMulPass.MaxTiles;
    }

    /// <summary>Where a warp finds the sums of the one before it.</summary>
    private struct Relay : IRingShape
    {
        public static int Stages => 1;

        public static int StageBytes => TSums.Columns / 8 * WarpFragment.Bytes;

        public static int Writers => 1;

        public static int Readers => 1;
    }
}
