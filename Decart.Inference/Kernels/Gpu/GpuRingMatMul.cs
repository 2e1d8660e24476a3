using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>The kernels of <see cref="GpuRingMatMul{TSums}"/> for blocks of as many rows of x.</summary>
internal static class GpuRingMatMul
{
    /// <summary>For halves.</summary>
    public static GpuKernel<MatMulArguments> Kernel(int blockRows) => BlockSums.For<OfHalves, GpuKernel<MatMulArguments>>(blockRows);

    /// <summary>For integers of 8 bits.</summary>
    public static GpuKernel<MatMulArguments> IntegerKernel(int blockRows) => BlockSums.For<OfIntegers, GpuKernel<MatMulArguments>>(blockRows);

    private readonly struct OfHalves : IBlockChoice<GpuKernel<MatMulArguments>>
    {
        public static GpuKernel<MatMulArguments> Of<TSums>()
            where TSums : unmanaged, IHeldSums<TSums>, ICodeSums<TSums> => GpuRingMatMul<TSums>.Kernel;
    }

    private readonly struct OfIntegers : IBlockChoice<GpuKernel<MatMulArguments>>
    {
        public static GpuKernel<MatMulArguments> Of<TSums>()
            where TSums : unmanaged, IHeldSums<TSums>, ICodeSums<TSums> => GpuRingMatMul<IntegerSums<TSums>>.Kernel;
    }
}

/// <summary>
/// The matmul of Hopper GPUs (sm_90a), for a token as for prompts: y^T = W x^T by <c>wgmma</c>, tiles of the weight on the 64-row side, a block of
/// <typeparamref name="TSums"/> rows of x on the other. One warp group copies pieces of both into a ring, the weight's before it waits for the kernel in front: weights
/// depend on no kernel, but which experts have rows does. Two warp groups multiply up to four tiles each and keep all of k in their accumulators. One group stays on each multiprocessor
/// and takes one pass after the other, up to eight tiles of the weight times a block of x. With <see cref="IntegerSums{TSums}"/> both have two integers of 8 bits in the place of a half.
/// </summary>
internal static class GpuRingMatMul<TSums>
    where TSums : unmanaged, ISums<TSums>
{
    public static readonly GpuKernel<MatMulArguments> Kernel = new(Run, Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = Ring<Shape>.Bytes,
    };

    /// <summary>Two warp groups that multiply, and one that copies.</summary>
    internal const int Threads = (Readers * Lanes) + WarpGroup.Threads;

    /// <summary>Warps that copy.</summary>
    internal const int Copiers = WarpGroup.Threads / Lanes;

    private const int Lanes = 32;

    /// <summary>Warps that multiply.</summary>
    internal const int Readers = 8;

    internal const int WarpGroupTiles = WarpGroup.Rows / CoreTiles.TileRows;

    /// <summary>Pieces whose operations are started together: with few columns the instructions between would take longer.</summary>
    private static int PiecesAtOnce => TSums.HasPairs ? WidePieces : 1;

    /// <summary>Pieces of a stage of eight tiles.</summary>
    private static int WidePieces => TSums.Columns <= 64 ? 2 : 1;

    /// <summary>The most pieces of a stage: of few tiles it takes several, so that enough bytes are on their way.</summary>
    internal static int MaxPieces => TSums.Columns <= 8 ? 8 : TSums.Columns <= 16 ? 4 : WidePieces;

    /// <summary>The most bytes of a stage's pieces of the weight.</summary>
    private static int WeightBytes => WidePieces * GpuRingMatMulPass.MaxTiles * CoreTiles.TileBytes;

    private static void Run(MatMulArguments a)
    {
        GridDependency.LaunchDependents();
        Ring<Shape> ring = Ring<Shape>.WithStages(Ring<Shape>.Create(Shared.Base()), StageBytesOf(a));
        // By a shuffle, so that the driver's compiler knows it to be the same for all lanes, and what depends on it.
        int warp = Warp.Shuffle(Group.IdxX / Lanes, 0);
        if (warp >= Readers)
        {
            if (TSums.Columns > 128) WarpGroup.LowerRegisters(40);
            Copy(a, ring, PiecesPerStage(a), warp - Readers);
        }
        else
        {
            if (TSums.Columns > 128) WarpGroup.RaiseRegisters(232);
            Multiply(a, ring, warp);
        }
    }

    /// <summary>What the warps that copy do, which share a stage's pieces: one warp starts small copies too slowly.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="ring">Their place in the ring: the beginning.</param>
    /// <param name="perStage">Pieces of a full stage.</param>
    /// <param name="copier">Which of the <see cref="Copiers"/> the calling warp is.</param>
    internal static void Copy<TShape>(MatMulArguments a, Ring<TShape> ring, int perStage, int copier)
        where TShape : IMatMulRingShape
    {
        // Which experts there are depends on the kernel in front.
        if (a.ExpertBlocks != 0) GridDependency.Wait();
        GpuRingMatMulPass pass = GpuRingMatMulPass.First(a);
        Ring<TShape> behind = ring;
        Source source = Source.Of<TShape>(a, pass, perStage, copier);
        int steps = Steps(a, perStage), stages = Ring<TShape>.Count(ring), early = !GpuRingMatMulPass.Exists(pass) ? 0 : steps < stages ? steps : stages;
        for (int step = 0; step < early; step++)
        {
            BeginFill(a, ring, pass, Pieces(a, step, perStage), copier);
            if (!Source.IsX)
            {
                Source.Copy(source, Ring<TShape>.Stage(ring), Ring<TShape>.Full(ring), Pieces(a, step, perStage));
                source = Source.Next(source);
            }
            ring = Ring<TShape>.Next(ring);
        }
        GridDependency.Wait();
        for (int step = 0; step < early; step++)
        {
            if (Source.IsX)
            {
                Source.Copy(source, Ring<TShape>.Stage(behind), Ring<TShape>.Full(behind), Pieces(a, step, perStage));
                source = Source.Next(source);
            }
            behind = Ring<TShape>.Next(behind);
        }
        while (GpuRingMatMulPass.Exists(pass))
        {
            for (int step = early; step < steps; step++)
            {
                BeginFill(a, ring, pass, Pieces(a, step, perStage), copier);
                Source.Copy(source, Ring<TShape>.Stage(ring), Ring<TShape>.Full(ring), Pieces(a, step, perStage));
                source = Source.Next(source);
                ring = Ring<TShape>.Next(ring);
            }
            early = 0;
            pass = GpuRingMatMulPass.Next(a, pass);
            source = Source.Of<TShape>(a, pass, perStage, copier);
        }
    }

    /// <summary>One copier announces the bytes of all. The others arrive too, even where they have none: no stage is full, and emptied again, before each has seen that it was empty.</summary>
    private static void BeginFill<TShape>(MatMulArguments a, Ring<TShape> ring, GpuRingMatMulPass pass, int pieces, int copier)
        where TShape : IMatMulRingShape =>
        Ring<TShape>.BeginFill(ring, copier == 0 ? pieces * ((pass.Tiles * TShape.TileBytes) + (TSums.Columns * CoreTiles.RowBytes)) : 0);

    private static void Multiply(MatMulArguments a, Ring<Shape> ring, int warp)
    {
        int first = warp / 4 * WarpGroupTiles;
        GridDependency.Wait();
        int count = Global.LoadInt(a.Count), xOffset = XOffset(a);
        for (GpuRingMatMulPass pass = GpuRingMatMulPass.First(a); GpuRingMatMulPass.Exists(pass); pass = GpuRingMatMulPass.Next(a, pass))
        {
            int perStage = PiecesPerStage(a), steps = Steps(a, perStage);
            if (first >= pass.Tiles)
            {
                ring = Ring<Shape>.LetPass(ring, steps);
            }
            else
            {
                TSums sums = default;
                Ring<Shape> before = ring;
                int pieces = a.Stride / CoreTiles.PieceColumns, place = 0;
                int weight = 0, x = 0;
                // One loop, in which nothing else touches the sums: a piece's operations are under way while the next are started.
                for (int piece = 0; piece < pieces; piece += PiecesAtOnce)
                {
                    if (place == 0)
                    {
                        weight = Describe(Ring<Shape>.Stage(ring) + (first * CoreTiles.TileBytes));
                        x = Describe(Ring<Shape>.Stage(ring) + xOffset);
                        Ring<Shape>.Await(ring);
                    }
                    int nextWeight = MatrixDescriptor.Advance(pass.Tiles * CoreTiles.TileBytes), nextX = MatrixDescriptor.Advance(TSums.Columns * CoreTiles.RowBytes);
                    sums = MultiplyPieces(sums, weight, x, weight + nextWeight, x + nextX);
                    // What was started before has read the stage before.
                    if (place == 0 && piece > 0) Ring<Shape>.Release(before);
                    weight += PiecesAtOnce * nextWeight;
                    x += PiecesAtOnce * nextX;
                    place += PiecesAtOnce;
                    if (place == perStage || piece + PiecesAtOnce >= pieces)
                    {
                        before = ring;
                        ring = Ring<Shape>.Next(ring);
                        place = 0;
                    }
                }
                WarpGroup.Wait(0);
                Ring<Shape>.Release(before);
                if (warp >= pass.Tiles) continue;
                int row = pass.XBlock * TSums.Columns;
                sums = TSums.Finish(sums, a, pass.Tile + warp, row);
                StoreTile.Store(a, sums, pass.Tile + warp, row, GpuRingMatMulPass.End(a, pass, count), reduces: true, raises: TSums.HaveCodes);
            }
        }
    }

    /// <summary>Starts the products of one or two pieces, and waits for those that were started before.</summary>
    private static TSums MultiplyPieces(TSums sums, int weight, int x, int secondWeight, int secondX)
    {
        WarpGroup.Fence();
        sums = MultiplyPiece(sums, weight, x);
        if (PiecesAtOnce > 1) sums = MultiplyPiece(sums, secondWeight, secondX);
        WarpGroup.Commit();
        WarpGroup.Wait(1);
        return sums;
    }

    private static TSums MultiplyPiece(TSums sums, int weight, int x)
    {
        const int Step = 2 * CoreTiles.CoreBytes / 16;
        sums = TSums.Multiply(sums, weight, x);
        sums = TSums.Multiply(sums, weight + Step, x + Step);
        sums = TSums.Multiply(sums, weight + (2 * Step), x + (2 * Step));
        return TSums.Multiply(sums, weight + (3 * Step), x + (3 * Step));
    }

    /// <summary>The lower half of the descriptor of core matrices in shared memory.</summary>
    internal static int Describe(int address) => MatrixDescriptor.CreatePlain(address, CoreTiles.CoreBytes);

    /// <summary>Stages that a pass takes.</summary>
    internal static int Steps(MatMulArguments a, int perStage) => ((a.Stride / CoreTiles.PieceColumns) + perStage - 1) / perStage;

    /// <summary>Pieces of a full stage.</summary>
    internal static int PiecesPerStage(MatMulArguments a)
    {
        int room = WidePieces * (a.TilesPerPass > 4 ? 1 : a.TilesPerPass > 2 ? 2 : 4);
        return room < MaxPieces ? room : MaxPieces;
    }

    /// <summary>Pieces of a step; the last may have fewer.</summary>
    internal static int Pieces(MatMulArguments a, int step, int perStage)
    {
        int left = (a.Stride / CoreTiles.PieceColumns) - (step * perStage);
        return left < perStage ? left : perStage;
    }

    /// <summary>
    /// What a lane copies in each step. Lanes 2p and 2p + 1: the pass's tiles of piece p, as far as they lie in one block of the weight, and the rest. The last lane:
    /// the pieces of a block of x, where they are neighbours; else lane <see cref="FirstXLane"/> + p: piece p of it. Of a packed weight lane t has tile t. Pieces, or tiles, are divided
    /// among the <see cref="Copiers"/>.
    /// </summary>
    private struct Source
    {
        /// <summary>Behind those of the weight.</summary>
        private const int FirstXLane = Lanes / 2;

        private long _address, _advance;
        private int _offset, _piece, _bytes, _bytesPerPiece;

        public static bool IsX => Warp.LaneIdx >= FirstXLane;

        /// <summary>What a lane of one of the <see cref="Copiers"/> copies.</summary>
        public static Source Of<TShape>(MatMulArguments a, GpuRingMatMulPass pass, int perStage, int copier)
            where TShape : IMatMulRingShape
        {
            Source source = IsX ? OfX(a, pass, perStage, TShape.XOffset(a, perStage)) : TShape.IsPacked ? OfTiles(a, pass, perStage, TShape.TileBytes) : OfWeight(a, pass, perStage);
            int own = (TShape.IsPacked && !IsX ? Warp.LaneIdx : source._piece) % Copiers;
            if (copier != (IsX ? Copiers - 1 - own : own)) source._piece = int.MaxValue;
            return source;
        }

        public static Source Next(Source source)
        {
            source._address += source._advance;
            return source;
        }

        /// <summary>Starts the lane's copy, if one of that many pieces is its.</summary>
        /// <param name="source">What it copies.</param>
        /// <param name="stage">Where to.</param>
        /// <param name="barrier">What counts the bytes.</param>
        /// <param name="pieces">Pieces of the step.</param>
        public static void Copy(Source source, int stage, int barrier, int pieces)
        {
            if (source._piece >= pieces) return;
            int bytes = source._bytes + (pieces * source._bytesPerPiece);
            BulkCopy.Load(stage + source._offset, source._address, bytes, barrier);
        }

        /// <summary>The part of x.</summary>
        /// <param name="a">The operation.</param>
        /// <param name="pass">The pass.</param>
        /// <param name="perStage">Pieces of a full stage.</param>
        /// <param name="offset">Where it begins in a stage.</param>
        private static Source OfX(MatMulArguments a, GpuRingMatMulPass pass, int perStage, int offset)
        {
            const int PieceBytes = CoreTiles.RowBytes;
            int lane = Warp.LaneIdx - FirstXLane, own = TSums.Columns * PieceBytes, whole = a.XBlockRows * PieceBytes;
            Source source = new()
            {
                _address = a.X + CoreTiles.OperandOffset(pass.XBlock * TSums.Columns, 0, a.Stride, a.XBlockRows),
                _advance = perStage * whole,
                _offset = offset,
                _piece = int.MaxValue,
            };
            if (own == whole)
            {
                source._bytesPerPiece = own;
                if (lane == Lanes - 1 - FirstXLane) source._piece = 0;
            }
            else if (lane < perStage)
            {
                source._address += lane * whole;
                source._offset += lane * own;
                source._bytes = own;
                source._piece = lane;
            }
            return source;
        }

        /// <summary>The weight's part.</summary>
        /// <param name="a">The operation.</param>
        /// <param name="pass">The pass.</param>
        /// <param name="perStage">Pieces of a full stage.</param>
        private static Source OfWeight(MatMulArguments a, GpuRingMatMulPass pass, int perStage)
        {
            const int BlockTiles = CoreTiles.WeightBlockRows / CoreTiles.TileRows;
            int piece = Warp.LaneIdx >> 1, part = Warp.LaneIdx & 1, block = (pass.Tile / BlockTiles) + part;
            int begin = part == 0 ? pass.Tile : block * BlockTiles, end = (block + 1) * BlockTiles;
            if (end > pass.Tile + pass.Tiles) end = pass.Tile + pass.Tiles;
            int row = begin * CoreTiles.TileRows;
            long first = CoreTiles.WeightOffset(row, 0, a.WeightRows, a.Stride);
            long pieceAdvance = CoreTiles.WeightOffset(row, CoreTiles.PieceColumns, a.WeightRows, a.Stride) - first;
            return new Source
            {
                _address = pass.Weight + first + (piece * pieceAdvance),
                _advance = perStage * pieceAdvance,
                _offset = ((piece * pass.Tiles) + begin - pass.Tile) * CoreTiles.TileBytes,
                _piece = piece < perStage && begin < end ? piece : int.MaxValue,
                _bytes = (end - begin) * CoreTiles.TileBytes,
            };
        }

        /// <summary>The part of a packed weight: lane t the pieces of tile t, for each tile together.</summary>
        /// <param name="a">The operation.</param>
        /// <param name="pass">The pass.</param>
        /// <param name="perStage">Pieces of a full stage.</param>
        /// <param name="tileBytes">A constant: bytes of a piece of a tile.</param>
        private static Source OfTiles(MatMulArguments a, GpuRingMatMulPass pass, int perStage, int tileBytes) => new()
        {
            _address = pass.Weight + CoreTiles.PackedOffset(pass.Tile + Warp.LaneIdx, 0, a.Stride, tileBytes),
            _advance = perStage * tileBytes,
            _offset = Warp.LaneIdx * perStage * tileBytes,
            _piece = Warp.LaneIdx < pass.Tiles ? 0 : int.MaxValue,
            _bytesPerPiece = tileBytes,
        };
    }

    /// <summary>Bytes of a stage of a launch. Of few rows stages are no larger than its tiles need: with more of them more is on its way, for which small weights would wait otherwise.</summary>
    private static int StageBytesOf(MatMulArguments a) => HasSmallStages ? XOffset(a) + (PiecesPerStage(a) * TSums.Columns * CoreTiles.RowBytes) : StageBytes;

    /// <summary>Where the block of x begins in a stage.</summary>
    internal static int XOffset(MatMulArguments a) => HasSmallStages ? PiecesPerStage(a) * a.TilesPerPass * CoreTiles.TileBytes : WeightBytes;

    private static bool HasSmallStages => TSums.Columns <= 64;

    /// <summary>What decides how many stages there are barriers for: ten, or twelve with 64 columns.</summary>
    private const int LeastStageBytes = 16 * 1024;

    /// <summary>Stages of as many pieces of tiles, and of a block of x, as there can be.</summary>
    internal static int Stages => TSums.Columns == 128 ? 6 : 4;

    internal static int StageBytes => WeightBytes + (MaxPieces * TSums.Columns * CoreTiles.RowBytes);

    internal struct Shape : IMatMulRingShape
    {
        public static int TileBytes => CoreTiles.TileBytes;

        public static bool IsPacked => false;

        public static int XOffset(MatMulArguments a, int perStage) => GpuRingMatMul<TSums>.XOffset(a);

        public static int Stages => HasSmallStages ? GpuRingMatMul<TSums>.Stages * GpuRingMatMul<TSums>.StageBytes / StageBytes : GpuRingMatMul<TSums>.Stages;

        public static int StageBytes => HasSmallStages ? LeastStageBytes : GpuRingMatMul<TSums>.StageBytes;

        public static int Writers => Copiers;

        public static int Readers => GpuRingMatMul<TSums>.Readers;
    }
}

/// <summary>A ring whose stages have pieces of a pass's tiles, and behind them those of the block of x.</summary>
internal interface IMatMulRingShape : IRingShape
{
    /// <summary>Bytes of a piece of a tile.</summary>
    static abstract int TileBytes { get; }

    /// <summary>Whether a stage has all its pieces of a tile together, as <see cref="Packed.PackedTile{TFormat}"/> has them; else a piece's tiles.</summary>
    static abstract bool IsPacked { get; }

    /// <summary>Where the pieces of x begin in a stage.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="perStage">Pieces of a full stage.</param>
    static abstract int XOffset(MatMulArguments a, int perStage);
}
