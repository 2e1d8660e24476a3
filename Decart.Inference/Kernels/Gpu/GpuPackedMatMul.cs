using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// <see cref="GpuRingMatMul{TSums}"/> of a weight of few bits with many rows of x, with the bits of the weight that it would be widened to: one warp copies packed tiles into a ring, teams of others make
/// halves of them in a second one, where they bring the block of x too, and two warp groups multiply as they always do.
/// </summary>
internal static class GpuPackedMatMul<TFormat, TScaling, TSums>
    where TFormat : IPackedFormat
    where TScaling : IPackedScaling
    where TSums : unmanaged, ISums<TSums>
{
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Halved>.Bytes + Ring<Stored>.Bytes,
        Parts = [((Func<int, int, PiecePair<StoredPiece>, PiecePair<StoredPiece>>)TScaling.Unpack<TFormat, StoredPiece>).Method],
    };

    private const int Lanes = 32, Readers = GpuRingMatMul<TSums>.Readers;

    /// <summary>What a group may have, and what barriers are given of it.</summary>
    private const int MaxSharedBytes = 227 * 1024, BarrierBytes = 512;

    /// <summary>
    /// Teams of warps that make halves, each of whole stages in turn with the others, since what a stage costs besides is every warp's of its team. The products' registers leave room for
    /// few.
    /// </summary>
    /// <remarks>Rings have multiples of so many stages: each stage is one team's, which sees all its phases. A barrier's parity tells two neighbouring phases apart, no more.</remarks>
    private static int Teams => TSums.Columns == 128 ? 2 : 1;

    private const int TeamWarps = 3;

    /// <summary>The warp that copies, those that make halves, and as many as their last warp group lacks: it changes its registers as a whole.</summary>
    private static int Helpers => (1 + (Teams * TeamWarps) + 3) / 4 * 4;

    private static int Threads => (Readers + Helpers) * Lanes;

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        int memory = Shared.Base();
        Ring<Halved> halves = Ring<Halved>.Create(memory);
        Ring<Stored> stored = Ring<Stored>.Create(memory + Ring<Halved>.Bytes);
        int warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (warp >= Readers)
        {
            if (TSums.Columns > 128) WarpGroup.LowerRegisters(40);
            else WarpGroup.LowerRegisters(88);
            if (warp == Readers) Copy(a, stored);
            else if (warp <= Readers + (Teams * TeamWarps)) Unpack(a, stored, halves, warp - Readers - 1);
        }
        else
        {
            if (TSums.Columns > 128) WarpGroup.RaiseRegisters(232);
            else WarpGroup.RaiseRegisters(160);
            GpuRingMatMul<TSums>.Multiply(a, halves, warp);
        }
    }

    /// <summary>Waits for no kernel, as weights depend on none, but which experts there are does.</summary>
    private static void Copy(MatMulArguments a, Ring<Stored> ring)
    {
        if (a.ExpertBlocks != 0) GridDependency.Wait();
        int perStage = GpuRingMatMul<TSums>.PiecesPerStage(a), steps = GpuRingMatMul<TSums>.Steps(a, perStage);
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            GpuRingMatMul<TSums>.Source source = GpuRingMatMul<TSums>.Source.OfTilePieces(a, pass, perStage, PackedTile<TFormat>.Bytes);
            for (int step = 0; step < steps; step++)
            {
                int pieces = GpuRingMatMul<TSums>.Pieces(a, step, perStage);
                Ring<Stored>.BeginFill(ring, pieces * pass.Tiles * PackedTile<TFormat>.Bytes);
                GpuRingMatMul<TSums>.Source.Copy(source, Ring<Stored>.Stage(ring), Ring<Stored>.Full(ring), pieces);
                source = GpuRingMatMul<TSums>.Source.Next(source);
                ring = Ring<Stored>.Next(ring);
            }
        }
    }

    private static void Unpack(MatMulArguments a, Ring<Stored> stored, Ring<Halved> halves, int unpacker)
    {
        int team = unpacker / TeamWarps, member = unpacker - (team * TeamWarps);
        int perStage = GpuRingMatMul<TSums>.PiecesPerStage(a), steps = GpuRingMatMul<TSums>.Steps(a, perStage);
        if (member == 0 || a.ExpertBlocks != 0) GridDependency.Wait();
        stored = Ring<Stored>.Skip(stored, team);
        halves = Ring<Halved>.Skip(halves, team);
        int step = team, pair = member;
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            GpuRingMatMul<TSums>.Source x = GpuRingMatMul<TSums>.Source.Skip(GpuRingMatMul<TSums>.Source.OfX(a, pass, perStage, GpuRingMatMul<TSums>.XOffset(a)), step);
            for (; step < steps; step += Teams)
            {
                int count = GpuRingMatMul<TSums>.Pieces(a, step, perStage), tiles = count * pass.Tiles, pairs = (tiles + 1) / 2;
                Ring<Halved>.AwaitEmpty(halves);
                if (member == 0)
                {
                    CopyX(x, halves, count);
                    x = GpuRingMatMul<TSums>.Source.Skip(x, Teams);
                }
                Ring<Stored>.Await(stored);
                int packed = Ring<Stored>.Stage(stored), halved = Ring<Halved>.Stage(halves);
                for (; pair < pairs; pair += TeamWarps)
                {
                    // A last one by itself is two times the same.
                    int tile = 2 * pair, next = tile + 1 < tiles ? tile + 1 : tile;
                    int first = packed + (tile * PackedTile<TFormat>.Bytes), second = packed + (next * PackedTile<TFormat>.Bytes);
                    PiecePair<StoredPiece> sinks = new()
                    {
                        First = StoredPiece.To(halved + (tile * CoreTiles.TileBytes)),
                        Second = StoredPiece.To(halved + (next * CoreTiles.TileBytes)),
                    };
                    TScaling.Unpack<TFormat, StoredPiece>(first, second, sinks);
                }
                // The next stage's turns go on where this one's ended: each warp has as many tiles as the others.
                pair -= pairs;
                // Matrix operations read what threads have written.
                BulkCopy.Fence();
                Ring<Stored>.Release(stored);
                if (Warp.LaneIdx == 0) MBarrier.Arrive(Ring<Halved>.Full(halves));
                stored = Ring<Stored>.Skip(stored, Teams);
                halves = Ring<Halved>.Skip(halves, Teams);
            }
            step -= steps;
        }
    }

    private static void CopyX(GpuRingMatMul<TSums>.Source x, Ring<Halved> ring, int pieces)
    {
        if (Warp.LaneIdx == 0) MBarrier.ArriveExpecting(Ring<Halved>.Full(ring), pieces * TSums.Columns * CoreTiles.RowBytes);
        Warp.Barrier();
        if (GpuRingMatMul<TSums>.Source.IsX) GpuRingMatMul<TSums>.Source.Copy(x, Ring<Halved>.Stage(ring), Ring<Halved>.Full(ring), pieces);
    }

    /// <summary>What is multiplied.</summary>
    private struct Halved : IRingShape
    {
        public static int Stages => 4;

        public static int StageBytes => GpuRingMatMul<TSums>.StageBytes;

        /// <summary>A team, one of which announces the bytes of x before.</summary>
        public static int Writers => TeamWarps + 1;

        public static int Readers => GpuRingMatMul<TSums>.Readers;
    }

    /// <summary>Packed tiles as they come: as many stages as there is room for, since they are what is waited for.</summary>
    private struct Stored : IRingShape
    {
        public static int Stages => (MaxSharedBytes - BarrierBytes - (Halved.Stages * Halved.StageBytes)) / StageBytes / Teams * Teams;

        public static int StageBytes => GpuRingMatMul<TSums>.WeightBytes / CoreTiles.TileBytes * PackedTile<TFormat>.Bytes;

        public static int Writers => 1;

        public static int Readers => TeamWarps;
    }
}
