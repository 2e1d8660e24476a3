using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// <see cref="GpuRingMatMul{TSums}"/> of a weight of few bits with few rows of x. One warp group copies packed tiles and x into a ring. The others take turns at its stages, up to four
/// tiles at a time, one for each warp: a group makes halves of them in registers, which never see shared memory, while those before it multiply; then it is given the sums, adds
/// its products by <c>wgmma</c>, and hands them on. So a sum is one chain over all of k, as everywhere, and the bits are those of the weight that it would be widened to.
/// </summary>
internal static class GpuRelayMatMul<TFormat, TScaling, TSums>
    where TFormat : IPackedFormat
    where TScaling : IPackedScaling
    where TSums : unmanaged, IRelaySums<TSums>
{
    private const int Lanes = 32, GroupWarps = WarpGroup.Threads / Lanes;

    /// <summary>What a group may have.</summary>
    private const int MaxSharedBytes = 227 * 1024;

    // Fields, each after those that it is made of, not properties: the compiler of kernels takes them as constants.

    /// <summary>
    /// Pieces of a stage, as many as there are registers and shared memory for: with more, sums are handed on less often, but there are fewer groups, which is slower where making halves
    /// takes longest.
    /// </summary>
    private static readonly int Pieces = TSums.Columns == 8 && TScaling.Kind != PackedScaling.Floats && PackedTile<TFormat>.Bytes <= 640 ? 6 : StagesFor(4, 3) > 0 ? 4 : 2;

    private static readonly int WeightBytes = Pieces * GpuRingMatMulPass.MaxTiles * PackedTile<TFormat>.Bytes;

    /// <summary>Warp groups that take turns, as many as there are registers for; another one copies: registers are given and taken by warp groups.</summary>
    private static readonly int Runners = TSums.Columns <= 16 && Pieces == 4 && StagesFor(Pieces, 4) > 0 ? 4 : 3;

    private static readonly int Stages = StagesFor(Pieces, Runners);

    /// <summary>
    /// Whether a stage of no more tiles than a group has warps has twice as many pieces, for two turns one after the other, so that no less is on its way: where it costs no stage that x needs more
    /// room.
    /// </summary>
    private static readonly bool DividesStages = StagesFor(Pieces, Runners, xParts: 2) == Stages;

    private static readonly int StageBytes = StageBytesOf(Pieces, DividesStages ? 2 : 1);

    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, (Runners + 1) * WarpGroup.Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Stage>.Bytes + (Runners * GroupWarps * Relay.Bytes),
        Parts = [((Func<int, PiecePair<HeldPiece>>)Unpack).Method],
    };

    /// <summary>Stages with so many groups, a multiple of them: a stage is always the same group's, or its neighbour's with two turns, so that it sees all its phases.</summary>
    private static int StagesFor(int pieces, int groups, int xParts = 1) =>
        (MaxSharedBytes - (groups * GroupWarps * Relay.Bytes)) / (StageBytesOf(pieces, xParts) + (2 * MBarrier.Bytes)) / groups * groups;

    private static int StageBytesOf(int pieces, int xParts) => pieces * ((GpuRingMatMulPass.MaxTiles * PackedTile<TFormat>.Bytes) + (xParts * TSums.Columns * CoreTiles.RowBytes));

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        int stages = Shared.Base(), relays = stages + Ring<Stage>.Bytes, warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (Warp.LaneIdx == 0)
        {
            if (warp < Runners * GroupWarps) Relay.Initialize(relays + (warp * Relay.Bytes));
            else if (warp == Runners * GroupWarps) Ring<Stage>.Initialize(stages);
        }
        Group.Barrier();
        if (warp >= Runners * GroupWarps)
        {
            WarpGroup.LowerRegisters(32);
            GpuRingMatMul<TSums>.Copy(a, Ring<Stage>.At(stages), PiecesPerStage(HasFewTiles(a)), warp - (Runners * GroupWarps));
        }
        else
        {
            if (Runners == 4) WarpGroup.RaiseRegisters(112);
            else WarpGroup.RaiseRegisters(160);
            if (HasFewTiles(a)) Multiply<FewTiles>(a, Ring<Stage>.At(stages), relays, warp);
            else Multiply<ManyTiles>(a, Ring<Stage>.At(stages), relays, warp);
        }
    }

    private static int PiecesPerStage(bool isFew) => DividesStages && isFew ? 2 * Pieces : Pieces;

    private static bool HasFewTiles(MatMulArguments a) => a.TilesPerPass <= GroupWarps;

    private static void Multiply<TTiles>(MatMulArguments a, Ring<Stage> ring, int relays, int warp)
        where TTiles : ITurnTiles
    {
        // Turns go round the groups. Sums are handed on from link to link of a chain. A stage is one turn, or two: of its first four tiles and of the rest, each the next link of their sums, or, of
        // few tiles, of its first pieces and of the rest, one link after the other.
        bool isFew = TTiles.AreFew;
        int group = warp / GroupWarps, shift = isFew && !DividesStages ? 0 : 1, next = (group + (isFew ? 1 : 2)) % Runners, turn = group, step = turn >> shift;
        // A warp's place among the tiles never changes: sums go from warp to warp. Few tiles are other warps' in each group, so that all four parts of a multiprocessor have work.
        int place = (warp - (group * a.TilesPerPass)) & (GroupWarps - 1);
        Relay before = Relay.At(relays, group, place), after = Relay.At(relays, next, place);
        ring = Ring<Stage>.Skip(ring, step);
        int perStage = PiecesPerStage(isFew), steps = GpuRingMatMul<TSums>.Steps(a, perStage), links = GpuRingMatMul<TSums>.Steps(a, Pieces), lastPieces = GpuRingMatMul<TSums>.Pieces(a, links - 1, Pieces);
        GridDependency.Wait();
        int count = Global.LoadInt(a.Count);
        // What a warp without a tile multiplies does not matter.
        PiecePair<HeldPiece> front = default, middle = default, back = default;
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            while (step < steps)
            {
                int part = turn - (step << shift), link = isFew ? turn : step, firstTile = isFew ? 0 : part * GroupWarps, firstPiece = isFew ? part * Pieces : 0, tile = firstTile + place;
                bool isMine = tile < pass.Tiles, isLast = link == links - 1;
                if (firstTile < pass.Tiles && link < links)
                {
                    Ring<Stage>.Await(ring);
                    if (isMine)
                    {
                        // A last stage with fewer pieces has something in the place of the others.
                        int first = Ring<Stage>.Stage(ring) + (((tile * perStage) + firstPiece) * PackedTile<TFormat>.Bytes);
                        front = Unpack(first);
                        if (Pieces > 2) middle = Unpack(first + (2 * PackedTile<TFormat>.Bytes));
                        if (Pieces > 4) back = Unpack(first + (4 * PackedTile<TFormat>.Bytes));
                    }
                    int x = GpuRingMatMul<TSums>.Describe(Ring<Stage>.Stage(ring) + WeightBytes) + (firstPiece * XPiece), secondX = x + (2 * XPiece), thirdX = x + (4 * XPiece);
                    if (Pieces > 2 && isLast && lastPieces <= 4)
                    {
                        // What is not there counts as nothing.
                        back = default;
                        thirdX = x;
                        if (lastPieces <= 2)
                        {
                            middle = default;
                            secondX = x;
                        }
                    }
                    TSums sums = default;
                    if (isMine && !isLast) Relay.AwaitEmpty(after);
                    if (isMine && link > 0)
                    {
                        sums = Relay.Take(before);
                        before = Relay.Next(before);
                    }
                    WarpGroup.Fence();
                    sums = Multiply(sums, front, x);
                    if (Pieces > 2) sums = Multiply(sums, middle, secondX);
                    if (Pieces > 4) sums = Multiply(sums, back, thirdX);
                    WarpGroup.Commit();
                    WarpGroup.Wait(0);
                    if (isMine && !isLast)
                    {
                        Relay.Give(after, sums);
                        after = Relay.Next(after);
                    }
                    Warp.Barrier();
                    // A stage is released by the warps of two turns, or twice by those of its only one. A pass of so few tiles that they are the first turn's is the last of many.
                    bool isAlone = shift == 0 || (!isFew && pass.Tiles <= GroupWarps);
                    if (Warp.LaneIdx < (isAlone ? 2 : 1)) MBarrier.Arrive(Ring<Stage>.Empty(ring));
                    if (isLast)
                    {
                        if (isMine) StoreTile.Store(a, sums, pass.Tile + tile, pass.XBlock * TSums.Columns, GpuRingMatMulPass.End(a, pass, count), reduces: true);
                        // Its registers are free while sums are stored.
                        front = middle = back = default;
                    }
                }
                else if (isFew && DividesStages)
                {
                    // Nothing to multiply, but a phase to be seen: passes follow, and a warp that had missed one could take the next for it.
                    Ring<Stage>.Await(ring);
                    Ring<Stage>.Release(ring);
                }
                turn += Runners;
                int following = turn >> shift;
                ring = Ring<Stage>.Skip(ring, following - step);
                step = following;
            }
            turn -= steps << shift;
            step -= steps;
        }
    }

    /// <summary>Halves of two pieces of a tile.</summary>
    private static PiecePair<HeldPiece> Unpack(int first) => TScaling.Unpack<TFormat, HeldPiece>(first, first + PackedTile<TFormat>.Bytes, default);

    /// <summary>Starts the products of two pieces.</summary>
    private static TSums Multiply(TSums sums, PiecePair<HeldPiece> weight, int x) => Multiply(Multiply(sums, weight.First, x), weight.Second, x + XPiece);

    private static TSums Multiply(TSums sums, HeldPiece weight, int x)
    {
        int step = MatrixDescriptor.Advance(2 * CoreTiles.CoreBytes);
        sums = TSums.MultiplyRows(sums, weight.Step0, x);
        sums = TSums.MultiplyRows(sums, weight.Step1, x + step);
        sums = TSums.MultiplyRows(sums, weight.Step2, x + (2 * step));
        return TSums.MultiplyRows(sums, weight.Step3, x + (3 * step));
    }

    /// <summary>What the descriptor of the next piece of x has more.</summary>
    private static int XPiece => MatrixDescriptor.Advance(TSums.Columns * CoreTiles.RowBytes);

    /// <summary>How many tiles there are in turns: a type, so that neither case has the other's instructions.</summary>
    private interface ITurnTiles
    {
        static abstract bool AreFew { get; }
    }

    private readonly struct FewTiles : ITurnTiles
    {
        public static bool AreFew => true;
    }

    private readonly struct ManyTiles : ITurnTiles
    {
        public static bool AreFew => false;
    }

    private struct Stage : IMatMulRingShape
    {
        public static int TileBytes => PackedTile<TFormat>.Bytes;

        public static bool IsPacked => true;

        public static int WeightBytes => GpuRelayMatMul<TFormat, TScaling, TSums>.WeightBytes;

        public static int Stages => GpuRelayMatMul<TFormat, TScaling, TSums>.Stages;

        public static int StageBytes => GpuRelayMatMul<TFormat, TScaling, TSums>.StageBytes;

        public static int Writers => GpuRingMatMul<TSums>.Copiers;

        public static int Readers => 2 * GroupWarps;
    }

    /// <summary>Where a warp finds the sums of its tile that another one gives it, and two barriers.</summary>
    private struct Relay
    {
        private int _address, _parity;

        public static int Bytes => SumBytes + (2 * MBarrier.Bytes);

        private static int SumBytes => TSums.Columns / 8 * WarpFragment.Bytes;

        /// <summary>Where the calling lane's sums are.</summary>
        private static int OwnSums => Warp.LaneIdx * 4 * sizeof(float);

        /// <summary>Makes one, by one thread.</summary>
        public static void Initialize(int address)
        {
            MBarrier.Init(address + SumBytes, 1);
            MBarrier.Init(address + SumBytes + MBarrier.Bytes, 1);
            MBarrier.PublishInit();
        }

        /// <summary>The one before a group's warp that has such a place among the tiles.</summary>
        public static Relay At(int relays, int group, int place) => new() { _address = relays + (((group * GroupWarps) + place) * Bytes) };

        /// <summary>Behind a time that sums were given.</summary>
        public static Relay Next(Relay relay)
        {
            relay._parity ^= 1;
            return relay;
        }

        /// <summary>Waits until sums may be stored.</summary>
        public static void AwaitEmpty(Relay relay) => MBarrier.Wait(relay._address + SumBytes + MBarrier.Bytes, relay._parity ^ 1);

        /// <summary>Stores sums.</summary>
        public static void Give(Relay relay, TSums sums)
        {
            TSums.Store(sums, relay._address + OwnSums);
            Warp.Barrier();
            if (Warp.LaneIdx == 0) MBarrier.Arrive(relay._address + SumBytes);
        }

        /// <summary>Waits for sums.</summary>
        public static TSums Take(Relay relay)
        {
            MBarrier.Wait(relay._address + SumBytes, relay._parity);
            TSums sums = TSums.Load(relay._address + OwnSums);
            Warp.Barrier();
            if (Warp.LaneIdx == 0) MBarrier.Arrive(relay._address + SumBytes + MBarrier.Bytes);
            return sums;
        }
    }
}
