using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// <see cref="GpuRingMatMul{TSums}"/> of a weight of few bits, with the bits of the weight that it would be widened to: one warp copies packed tiles into a ring, others make halves
/// of them in a second one, where they bring the block of x too, and two warp groups multiply as they always do.
/// </summary>
internal static class GpuPackedMatMul<TFormat, TSums>
    where TFormat : IPackedFormat
    where TSums : unmanaged, ISums<TSums>
{
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Halved>.Bytes + Ring<Stored>.Bytes,
    };

    private const int Lanes = 32, Readers = GpuRingMatMul<TSums>.Readers;

    /// <summary>What a group may have, and what barriers are given of it.</summary>
    private const int MaxSharedBytes = 227 * 1024, BarrierBytes = 512;

    /// <summary>Warps that make halves. With few rows the bytes of the weight decide, so there must be many; with many rows the products' registers leave room for few.</summary>
    private static int Unpackers => TSums.Columns <= 64 ? 7 : 3;

    private static int Threads => (Readers + 1 + Unpackers) * Lanes;

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        int memory = Shared.Base();
        Ring<Halved> halves = Ring<Halved>.Create(memory);
        Ring<Stored> stored = Ring<Stored>.Create(memory + Ring<Halved>.Bytes);
        int warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (warp >= Readers)
        {
            if (TSums.Columns == 64) WarpGroup.LowerRegisters(88);
            if (TSums.Columns > 128) WarpGroup.LowerRegisters(40);
            if (warp == Readers) Copy(a, stored);
            else Unpack(a, stored, halves, warp - Readers - 1);
        }
        else
        {
            if (TSums.Columns == 64) WarpGroup.RaiseRegisters(160);
            if (TSums.Columns > 128) WarpGroup.RaiseRegisters(232);
            GpuRingMatMul<TSums>.Multiply(a, halves, warp);
        }
    }

    /// <summary>Waits for no kernel: weights depend on none.</summary>
    private static void Copy(MatMulArguments a, Ring<Stored> ring)
    {
        int perStage = GpuRingMatMul<TSums>.PiecesPerStage(a), steps = GpuRingMatMul<TSums>.Steps(a);
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            GpuRingMatMul<TSums>.Source source = GpuRingMatMul<TSums>.Source.OfWeight(a, pass, perStage, PackedTile<TFormat>.Bytes);
            for (int step = 0; step < steps; step++)
            {
                int pieces = GpuRingMatMul<TSums>.Pieces(a, step);
                Ring<Stored>.BeginFill(ring, pieces * pass.Tiles * PackedTile<TFormat>.Bytes);
                GpuRingMatMul<TSums>.Source.Copy(source, Ring<Stored>.Stage(ring), Ring<Stored>.Full(ring), pieces);
                source = GpuRingMatMul<TSums>.Source.Next(source);
                ring = Ring<Stored>.Next(ring);
            }
        }
    }

    private static void Unpack(MatMulArguments a, Ring<Stored> stored, Ring<Halved> halves, int unpacker)
    {
        int perStage = GpuRingMatMul<TSums>.PiecesPerStage(a), steps = GpuRingMatMul<TSums>.Steps(a);
        if (unpacker == 0) GridDependency.Wait();
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            GpuRingMatMul<TSums>.Source x = GpuRingMatMul<TSums>.Source.OfX(a, pass, perStage);
            for (int step = 0; step < steps; step++)
            {
                int pieces = GpuRingMatMul<TSums>.Pieces(a, step);
                Ring<Halved>.AwaitEmpty(halves);
                if (unpacker == 0) CopyX(x, halves, pieces);
                Ring<Stored>.Await(stored);
                for (int tile = unpacker; tile < pieces * pass.Tiles; tile += Unpackers)
                {
                    int packed = Ring<Stored>.Stage(stored) + (tile * PackedTile<TFormat>.Bytes);
                    PackedTile<TFormat>.Unpack(packed, Warp.LaneIdx, Ring<Halved>.Stage(halves) + (tile * CoreTiles.TileBytes));
                }
                // Matrix operations read what threads have written.
                BulkCopy.Fence();
                Ring<Stored>.Release(stored);
                if (Warp.LaneIdx == 0) MBarrier.Arrive(Ring<Halved>.Full(halves));
                x = GpuRingMatMul<TSums>.Source.Next(x);
                stored = Ring<Stored>.Next(stored);
                halves = Ring<Halved>.Next(halves);
            }
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
        public static int Stages => GpuRingMatMul<TSums>.Stages;

        public static int StageBytes => GpuRingMatMul<TSums>.StageBytes;

        /// <summary>The warps that make halves, one of which announces the bytes of x before.</summary>
        public static int Writers => Unpackers + 1;

        public static int Readers => GpuRingMatMul<TSums>.Readers;
    }

    /// <summary>Packed tiles as they come: as many stages as there is room for, since they are what is waited for.</summary>
    private struct Stored : IRingShape
    {
        public static int Stages => (MaxSharedBytes - BarrierBytes - (GpuRingMatMul<TSums>.Stages * GpuRingMatMul<TSums>.StageBytes)) / StageBytes;

        public static int StageBytes => GpuRingMatMul<TSums>.WeightBytes / CoreTiles.TileBytes * PackedTile<TFormat>.Bytes;

        public static int Writers => 1;

        public static int Readers => Unpackers;
    }
}
