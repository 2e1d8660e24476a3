using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// <see cref="GpuRingMatMul{TSums}"/> of a weight of few bits, with the bits of the weight that it would be widened to. One warp group copies packed tiles and x into a ring. The others keep up to four
/// tiles each with their sums: a warp makes halves of its tile in registers, which never see shared memory, and multiplies them by <c>wgmma</c>, while another warp of its scheduler makes halves.
/// </summary>
internal static class GpuHeldMatMul<TFormat, TScaling, TSums>
    where TFormat : IPackedFormat
    where TScaling : IPackedScaling
    where TSums : unmanaged, IHeldSums<TSums>
{
    private const int Lanes = 32, GroupWarps = WarpGroup.Threads / Lanes;

    /// <summary>Stages that there are at least, so that copies are under way while halves are made.</summary>
    private const int LeastStages = 3;

    /// <summary>Pieces that are taken together: scales of both are found by all lanes.</summary>
    private const int PairPieces = 2;

    // Fields, each after those that it is made of, not properties: the compiler of kernels takes them as constants.

    /// <summary>Warp groups that multiply, as many as there are registers for.</summary>
    private static readonly int Groups = TSums.Columns <= 16 ? 4 : TSums.Columns <= 64 ? 3 : 2;

    /// <summary>
    /// Whether a warp makes halves while its products with those before are under way. With more columns there are no registers for that, nor need: products take longer than making halves, which the
    /// other warp group does meanwhile.
    /// </summary>
    private static readonly bool MakesAhead = TSums.Columns <= 128;

    /// <summary>Pieces of a stage: the more, the larger are copies, but of many columns x leaves no room.</summary>
    private static readonly int Pieces = TSums.Columns <= 64 ? 4 : TSums.Columns <= 128 ? 2 : 1;

    /// <summary>Tiles of a stage for which there is room.</summary>
    private static readonly int RoomForTiles =
        ((Stage.Stages * Stage.StageBytes / LeastStages / Pieces) - (TSums.Columns * CoreTiles.RowBytes)) / PackedTile<TFormat>.Bytes;

    /// <summary>The most tiles of a pass.</summary>
    public static readonly int MaxTiles = RoomForTiles < Groups * GroupWarps ? RoomForTiles : Groups * GroupWarps;

    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, (Groups + 1) * WarpGroup.Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Stage>.Bytes,
        Parts = [((Func<int, int, PiecePair<HeldPiece>>)Unpack).Method],
    };

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        Ring<Stage> ring = Ring<Stage>.WithStages(Ring<Stage>.Create(Shared.Base()), Stage.XOffset(a, Pieces) + (Pieces * TSums.Columns * CoreTiles.RowBytes));
        int warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (warp >= Groups * GroupWarps)
        {
            WarpGroup.LowerRegisters(32);
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
        int first = warp / GroupWarps * GroupWarps, pieces = a.Stride / CoreTiles.PieceColumns;
        GridDependency.Wait();
        int count = Global.LoadInt(a.Count), xOffset = Stage.XOffset(a, Pieces);
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            if (first >= pass.Tiles)
            {
                ring = Ring<Stage>.LetPass(ring, GpuRingMatMul<TSums>.Steps(a, Pieces));
            }
            else
            {
                TSums sums = default;
                // What a warp without a tile multiplies does not matter.
                int own = (warp < pass.Tiles ? warp : first) * Pieces * PackedTile<TFormat>.Bytes, piece = 0;
                if (MakesAhead)
                {
                    Ring<Stage> before = ring;
                    for (; piece + (2 * PairPieces) <= pieces; piece += 2 * PairPieces)
                    {
                        Ring<Stage>.Await(ring);
                        int weight = Ring<Stage>.Stage(ring) + own, x = GpuRingMatMul<TSums>.Describe(Ring<Stage>.Stage(ring) + xOffset);
                        PiecePair<HeldPiece> front = Unpack(weight, weight + PackedTile<TFormat>.Bytes);
                        WarpGroup.Fence();
                        sums = HeldProducts<TSums>.Add(sums, front, x);
                        WarpGroup.Commit();
                        // The products before these are done.
                        WarpGroup.Wait(1);
                        if (piece > 0) Ring<Stage>.Release(before);
                        weight += PairPieces * PackedTile<TFormat>.Bytes;
                        x += PairPieces * HeldProducts<TSums>.NextX;
                        before = ring;
                        if (Pieces == PairPieces)
                        {
                            ring = Ring<Stage>.Next(ring);
                            Ring<Stage>.Await(ring);
                            weight = Ring<Stage>.Stage(ring) + own;
                            x = GpuRingMatMul<TSums>.Describe(Ring<Stage>.Stage(ring) + xOffset);
                        }
                        PiecePair<HeldPiece> back = Unpack(weight, weight + PackedTile<TFormat>.Bytes);
                        WarpGroup.Fence();
                        sums = HeldProducts<TSums>.Add(sums, back, x);
                        WarpGroup.Commit();
                        WarpGroup.Wait(1);
                        if (Pieces == PairPieces) Ring<Stage>.Release(before);
                        before = ring;
                        ring = Ring<Stage>.Next(ring);
                    }
                    WarpGroup.Wait(0);
                    if (piece > 0) Ring<Stage>.Release(before);
                }
                for (; piece < pieces; piece += PairPieces)
                {
                    Ring<Stage> second = ring;
                    Ring<Stage>.Await(ring);
                    int weight = Ring<Stage>.Stage(ring) + own, x = GpuRingMatMul<TSums>.Describe(Ring<Stage>.Stage(ring) + xOffset);
                    int nextWeight = weight + PackedTile<TFormat>.Bytes, nextX = x + HeldProducts<TSums>.NextX;
                    if (Pieces == 1)
                    {
                        second = Ring<Stage>.Next(ring);
                        Ring<Stage>.Await(second);
                        nextWeight = Ring<Stage>.Stage(second) + own;
                        nextX = GpuRingMatMul<TSums>.Describe(Ring<Stage>.Stage(second) + xOffset);
                    }
                    PiecePair<HeldPiece> pair = Unpack(weight, nextWeight);
                    sums = Start(sums, pair.First, x);
                    sums = Start(sums, pair.Second, nextX);
                    WarpGroup.Wait(0);
                    Ring<Stage>.Release(ring);
                    if (Pieces == 1) Ring<Stage>.Release(second);
                    ring = Ring<Stage>.Next(second);
                }
                if (warp < pass.Tiles) StoreTile.Store(a, sums, pass.Tile + warp, pass.XBlock * TSums.Columns, GpuRingMatMulPass.End(a, pass, count), reduces: true, raises: false);
            }
        }
    }

    /// <summary>Halves of two pieces of a tile.</summary>
    private static PiecePair<HeldPiece> Unpack(int first, int second) => TScaling.Unpack<TFormat, HeldPiece>(first, second, default);

    /// <summary>Starts the products of a piece as a group of operations.</summary>
    private static TSums Start(TSums sums, HeldPiece weight, int x)
    {
        WarpGroup.Fence();
        sums = HeldProducts<TSums>.Add(sums, weight, x);
        WarpGroup.Commit();
        return sums;
    }

    /// <summary>Stages are as large as a launch's tiles need them.</summary>
    private struct Stage : IMatMulRingShape
    {
        public static int TileBytes => PackedTile<TFormat>.Bytes;

        public static bool IsPacked => true;

        public static int XOffset(MatMulArguments a, int perStage) => perStage * a.TilesPerPass * PackedTile<TFormat>.Bytes;

        public static int Stages => Shared.MostBytes / (StageBytes + (2 * MBarrier.Bytes));

        public static int StageBytes => 16 * 1024;

        public static int Writers => GpuRingMatMul<TSums>.Copiers;

        public static int Readers => Groups * GroupWarps;
    }
}
