using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Native.Cuda;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Attention of chunks by <see cref="WarpGroup"/> (sm_90a), for heads of up to 128 elements, with the bits of <see cref="GpuDecodeAttention"/>. A warp
/// group takes 64 queries, rows of one chunk times heads that share a key/value head; the groups of a block share tiles of 64 keys. The
/// products of the next tile and the sums of this one are under way while weights of the next are computed (Shah et al., 2024, "FlashAttention-3").
/// </summary>
internal static class GpuPromptAttention
{
    /// <summary>Queries of a warp group.</summary>
    public const int TileQueries = 64;

    private const int WarpGroups = 2, StageShift = 2, Stages = 1 << StageShift;

    /// <summary>Bytes of 64 rows of 64 elements.</summary>
    private const int BlockBytes = 64 * 128;

    private const int PieceBytes = 16, PieceElements = 8;

    /// <summary>For heads of up to 64 and 128 elements, whose tokens lie at one distance from each other. A group for each unit of the work list.</summary>
    public static readonly GpuKernel<AttentionArguments> Heads64 = Create(Run64, 1), Heads128 = Create(Run128, 2);

    /// <summary>The same wherever tokens lie.</summary>
    public static readonly GpuKernel<AttentionArguments> Paged64 = Create(RunPaged64, 1), Paged128 = Create(RunPaged128, 2);

    /// <summary>Rows of a tile of the work list when that many query heads share a key/value head, on a device with groups of up to that many threads.</summary>
    public static int RowsPerTile(int group, int maxGroupSize) => Math.Min(WarpGroups, maxGroupSize / WarpGroup.Threads) * RowsPerWarpGroup(group);

    /// <summary>Tiles that the query heads of a key/value head take.</summary>
    public static int HeadTiles(int group) => (group + TileQueries - 1) / TileQueries;

    private static int RowsPerWarpGroup(int group) => group < TileQueries ? TileQueries / group : 1;

    private static GpuKernel<AttentionArguments> Create(Action<AttentionArguments> run, int groups) => new(run, WarpGroups * WarpGroup.Threads)
    {
        MinArchitecture = 90,
        ForOneArchitecture = true,
        StartsEarly = true,
        SharedBytes = (((2 * Stages) + WarpGroups) * groups * BlockBytes) + (2 * Stages * MBarrier.Bytes),
    };

    private static void Run64(AttentionArguments a) => Run(a, 1, tensors: true);

    private static void Run128(AttentionArguments a) => Run(a, 2, tensors: true);

    private static void RunPaged64(AttentionArguments a) => Run(a, 1, tensors: false);

    private static void RunPaged128(AttentionArguments a) => Run(a, 2, tensors: false);

    /// <param name="a">The operation.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    /// <param name="tensors">Whether keys and values are copied as boxes of a tensor, by one thread: a constant.</param>
    private static void Run(AttentionArguments a, int groups, bool tensors)
    {
        GridDependency.LaunchDependents();
        if (tensors) CreateBarriers(groups);
        else if (a.HeadDim < 64 * groups) ClearPadding(groups);
        GridDependency.Wait();
        int group = a.Heads / a.KvHeads, headTiles = (group + TileQueries - 1) / TileQueries, perItem = a.KvHeads * headTiles;
        // The last rows see most keys: they come first.
        int item = GpuAttentionWork.Items(a.Work) - 1 - (Grid.IdxX / perItem), heads = Grid.IdxX % perItem;
        GpuTile tile = GpuAttentionWork.Load(a.Work, item);
        GpuRow row = GpuRow.Load(a.Rows, tile.FirstRow);
        int kvHead = heads / headTiles, firstHead = heads % headTiles * TileQueries, warpGroup = Warp.Shuffle(Group.IdxX >> 7, 0);
        Place place = new() { FirstRow = tile.FirstRow, Rows = tile.Rows, Position = row.Position, Group = group, KvHead = kvHead, FirstHead = firstHead, FirstIndex = warpGroup * RowsPerWarpGroup(group) };
        Source source = new()
        {
            Row = row,
            Map = tensors ? GpuRow.LoadMap(a.Rows, tile.FirstRow) : 0,
            Column = ((a.Layer * 2 * a.KvHeads) + kvHead) * a.HeadDim,
            First = a.Window != 0 && row.Position >= a.Window ? row.Position - a.Window + 1 : 0,
            End = row.Position + tile.Rows,
        };
        int memory = Shared.Base(), queries = memory + (((2 * Stages) + warpGroup) * groups * BlockBytes);
        source.Begin = source.First / AttentionScores.TileKeys * AttentionScores.TileKeys;
        if (tensors && Group.IdxX == 0) TensorCopy.Acquire(source.Map);
        for (int i = 0; i < Stages - 1; i++) Copy(a, source, i, memory, groups, tensors);
        CopyQueries(a, place, queries, groups);
        BulkCopy.Fence();
        Group.Barrier();
        Attend(a, source, place, memory, MatrixDescriptor.Create(queries, CudaTensorSwizzle.Bytes128), groups, tensors);
    }

    /// <summary>For each stage one that it is filled, and behind those one that all warps have read it.</summary>
    private static void CreateBarriers(int groups)
    {
        if (Group.IdxX == 0)
        {
            for (int stage = 0; stage < Stages; stage++)
            {
                MBarrier.Init(Filled(stage, groups), 1);
                MBarrier.Init(Read(stage, groups), Group.DimX >> 5);
            }
            MBarrier.PublishInit();
            BulkCopy.Fence();
        }
        Group.Barrier();
    }

    private static int Filled(int tile, int groups) =>
        Shared.Base() + (((2 * Stages) + WarpGroups) * groups * BlockBytes) + ((tile & (Stages - 1)) * MBarrier.Bytes);

    private static int Read(int tile, int groups) => Filled(tile, groups) + (Stages * MBarrier.Bytes);

    /// <summary>Where the keys of a tile lie; its values lie behind.</summary>
    private static int Stage(int memory, int tile, int groups) => memory + ((tile & (Stages - 1)) * 2 * groups * BlockBytes);

    /// <summary>What is behind the ends of heads is multiplied, with zeros, so it must be numbers.</summary>
    private static void ClearPadding(int groups)
    {
        int end = Shared.Base() + (((2 * Stages) + WarpGroups) * groups * BlockBytes);
        for (int address = Shared.Base() + (PieceBytes * Group.IdxX); address < end; address += PieceBytes * Group.DimX) Shared.Store16(address, default);
        Group.Barrier();
    }

    private static void Attend(AttentionArguments a, Source source, Place place, int memory, long queries, int groups, bool tensors)
    {
        AttentionRowQueries own = new() { Upper = LoadQuery(a, place, 0), Lower = LoadQuery(a, place, 8) };
        // From the first position on some query does not see a key, before the last window some does not.
        int lastUnmasked = place.Position + place.FirstIndex - (AttentionScores.TileKeys - 1), firstUnmasked = a.Window != 0 ? source.End - a.Window : 0;
        AttentionRowSoftmaxes softmax = new() { Upper = AttentionRowSoftmax.None, Lower = AttentionRowSoftmax.None };
        AttentionRowTotals whole = new() { Upper = AttentionSoftmax.None, Lower = AttentionSoftmax.None };
        Tile64 products = default;
        Tile128 sums = default, totals = default;
        int key = source.Begin, tile = 0, split = GpuSplits.Of(key);

        Await(0, groups, tensors);
        WarpGroup.Fence();
        products = Multiply(products, queries, memory, groups);
        WarpGroup.Commit();
        WarpGroup.Wait(0);
        AttentionRowWeights weights = AttentionRows.Weigh(
            a, products, key, key > lastUnmasked || key < firstUnmasked, own, ref softmax, out AttentionRowFactors factors);
        for (key += AttentionScores.TileKeys; key < source.End; key += AttentionScores.TileKeys)
        {
            Await(tile + 1, groups, tensors);
            WarpGroup.Fence();
            products = Multiply(products, queries, Stage(memory, tile + 1, groups), groups);
            WarpGroup.Commit();
            sums = AddValues(sums, weights, Stage(memory, tile, groups) + (groups * BlockBytes), groups);
            WarpGroup.Commit();
            Copy(a, source, tile + Stages - 1, memory, groups, tensors);
            WarpGroup.Wait(1);
            AttentionRowSoftmaxes before = softmax;
            bool begins = key == GpuSplits.Start(split + 1);
            if (begins)
            {
                softmax.Upper = AttentionRowSoftmax.None;
                softmax.Lower = AttentionRowSoftmax.None;
                split++;
            }
            AttentionRowWeights next = AttentionRows.Weigh(a, products, key, key > lastUnmasked || key < firstUnmasked, own, ref softmax, out factors);
            WarpGroup.ComputeFirst(AttentionRows.Any(next));
            WarpGroup.Wait(0);
            if (tensors && Warp.LaneIdx == 0) MBarrier.Arrive(Read(tile, groups));
            tile++;
            weights = next;
            if (begins)
            {
                AttentionRowFactors old = Join(a, ref whole, before, out AttentionRowFactors splitFactors);
                totals.Left = AttentionRows.Merge(totals.Left, old, sums.Left, splitFactors);
                if (groups > 1) totals.Right = AttentionRows.Merge(totals.Right, old, sums.Right, splitFactors);
                sums = default;
            }
            else
            {
                sums.Left = AttentionRows.Scale(sums.Left, factors);
                if (groups > 1) sums.Right = AttentionRows.Scale(sums.Right, factors);
            }
        }
        WarpGroup.Fence();
        sums = AddValues(sums, weights, Stage(memory, tile, groups) + (groups * BlockBytes), groups);
        WarpGroup.Commit();
        WarpGroup.Wait(0);
        AttentionRowFactors last = Join(a, ref whole, softmax, out AttentionRowFactors lastFactors);
        totals.Left = AttentionRows.Merge(totals.Left, last, sums.Left, lastFactors);
        if (groups > 1) totals.Right = AttentionRows.Merge(totals.Right, last, sums.Right, lastFactors);
        Store(a, place, own, totals, whole, groups);
        if (!tensors) AsyncCopy.Wait(0);
    }

    /// <summary>Waits for a tile. Where threads copy, all wait, and the tile before the one before is free then.</summary>
    private static void Await(int tile, int groups, bool tensors)
    {
        if (tensors)
        {
            MBarrier.Wait(Filled(tile, groups), (tile >> StageShift) & 1);
            return;
        }
        AsyncCopy.Wait(Stages - 2);
        BulkCopy.Fence();
        Group.Barrier();
    }

    /// <summary>Starts the copies of the keys and values of a tile, if it is one.</summary>
    private static void Copy(AttentionArguments a, Source source, int tile, int memory, int groups, bool tensors)
    {
        int first = source.Begin + (tile * AttentionScores.TileKeys), stage = Stage(memory, tile, groups);
        if (!tensors)
        {
            if (first < source.End) CopyTokens(a, source, first, stage, groups);
            AsyncCopy.Commit();
        }
        else if (Group.IdxX == 0 && first < source.End)
        {
            if (tile >= Stages) MBarrier.Wait(Read(tile, groups), ((tile >> StageShift) - 1) & 1);
            int filled = Filled(tile, groups);
            MBarrier.ArriveExpecting(filled, 2 * groups * BlockBytes);
            TensorCopy.Load2(stage, source.Map, source.Column, first, filled);
            if (groups > 1) TensorCopy.Load2(stage + BlockBytes, source.Map, source.Column + 64, first, filled);
            int values = source.Column + (a.KvHeads * a.HeadDim);
            TensorCopy.Load2(stage + (groups * BlockBytes), source.Map, values, first, filled);
            if (groups > 1) TensorCopy.Load2(stage + (3 * BlockBytes), source.Map, values + 64, first, filled);
        }
    }

    /// <summary>Each thread copies a part. Tokens that no query sees are replaced by some that one does.</summary>
    private static void CopyTokens(AttentionArguments a, Source source, int tile, int stage, int groups)
    {
        int thread = Pinned.Int(Group.IdxX), pieces = PieceElements * groups, piece = thread & (pieces - 1), first = thread >> PieceShift(groups);
        int step = Group.DimX >> PieceShift(groups), swizzle = (piece ^ (first & 7)) & 7;
        if (piece * PieceElements >= a.HeadDim) return;
        // A thread's rows are the same modulo 8, so its pieces are exchanged alike.
        int address = stage + ((piece >> 3) * BlockBytes) + (first * 128) + (swizzle * PieceBytes), row = first;
        long offset = ((long)source.Column * sizeof(ushort)) + (piece * PieceBytes), values = (long)a.KvHeads * a.HeadDim * sizeof(ushort);
        for (int i = 0; i < AttentionScores.TileKeys; i += step)
        {
            int key = tile + row;
            key = key < source.First ? source.First : key >= source.End ? source.End - 1 : key;
            long keys = GpuRow.TokenAddress(source.Row, key) + offset;
            AsyncCopy.Start16(address, keys);
            AsyncCopy.Start16(address + (groups * BlockBytes), keys + values);
            row += step;
            address += step * 128;
        }
    }

    private static int PieceShift(int groups) => groups > 1 ? 4 : 3;

    /// <summary>Copies the warp group's queries, zeros where there is none.</summary>
    private static void CopyQueries(AttentionArguments a, Place place, int memory, int groups)
    {
        int thread = Group.IdxX & (WarpGroup.Threads - 1), piece = thread & ((PieceElements * groups) - 1);
        for (int m = thread >> PieceShift(groups); m < TileQueries; m += WarpGroup.Threads >> PieceShift(groups))
        {
            UInt4 halves = default;
            if (IsUsed(place, m) && piece * PieceElements < a.HeadDim)
                halves = Global.Load16(GpuHeads.QueryAddress(a, place.FirstRow + Index(place, m), Head(place, m)) + (piece * PieceBytes));
            Shared.Store16(memory + ((piece >> 3) * BlockBytes) + (m * 128) + (((piece ^ m) & 7) * PieceBytes), halves);
        }
    }

    private static Tile64 Multiply(Tile64 products, long queries, int keys, int groups)
    {
        long matrix = MatrixDescriptor.Create(keys, CudaTensorSwizzle.Bytes128), block = MatrixDescriptor.Offset(BlockBytes);
        products = WarpGroup.MultiplyHalves64(products, queries, matrix, 0);
        products = WarpGroup.MultiplyHalves64(products, queries + MatrixDescriptor.Step, matrix + MatrixDescriptor.Step, 1);
        products = WarpGroup.MultiplyHalves64(products, queries + (2 * MatrixDescriptor.Step), matrix + (2 * MatrixDescriptor.Step), 1);
        products = WarpGroup.MultiplyHalves64(products, queries + (3 * MatrixDescriptor.Step), matrix + (3 * MatrixDescriptor.Step), 1);
        if (groups > 1) products = WarpGroup.MultiplyHalves64(products, queries + block, matrix + block, 1);
        if (groups > 1) products = WarpGroup.MultiplyHalves64(products, queries + block + MatrixDescriptor.Step, matrix + block + MatrixDescriptor.Step, 1);
        if (groups > 1) products = WarpGroup.MultiplyHalves64(products, queries + block + (2 * MatrixDescriptor.Step), matrix + block + (2 * MatrixDescriptor.Step), 1);
        if (groups > 1) products = WarpGroup.MultiplyHalves64(products, queries + block + (3 * MatrixDescriptor.Step), matrix + block + (3 * MatrixDescriptor.Step), 1);
        return products;
    }

    private static Tile128 AddValues(Tile128 sums, AttentionRowWeights weights, int values, int groups)
    {
        // 16 keys are 16 rows of 128 bytes.
        long matrix = MatrixDescriptor.CreateTransposed(values, BlockBytes), step = MatrixDescriptor.Offset(16 * 128);
        if (groups > 1)
        {
            sums = WarpGroup.MultiplyTransposed128(sums, weights.A, matrix, 1);
            sums = WarpGroup.MultiplyTransposed128(sums, weights.B, matrix + step, 1);
            sums = WarpGroup.MultiplyTransposed128(sums, weights.C, matrix + (2 * step), 1);
            return WarpGroup.MultiplyTransposed128(sums, weights.D, matrix + (3 * step), 1);
        }
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.A, matrix, 1);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.B, matrix + step, 1);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.C, matrix + (2 * step), 1);
        sums.Left = WarpGroup.MultiplyTransposed64(sums.Left, weights.D, matrix + (3 * step), 1);
        return sums;
    }

    private static AttentionRowFactors Join(
        AttentionArguments a, ref AttentionRowTotals whole, AttentionRowSoftmaxes split, out AttentionRowFactors factors)
    {
        AttentionJoin upper = GpuAttentionMerge.Join(whole.Upper, split.Upper.Max * a.Factor, AttentionRows.RowSum(split.Upper));
        AttentionJoin lower = GpuAttentionMerge.Join(whole.Lower, split.Lower.Max * a.Factor, AttentionRows.RowSum(split.Lower));
        whole.Upper = upper.Whole;
        whole.Lower = lower.Whole;
        factors = new AttentionRowFactors { Upper = upper.Factor, Lower = lower.Factor };
        return new AttentionRowFactors { Upper = upper.Old, Lower = lower.Old };
    }

    /// <summary>Which of the warp group's queries is number g of its warp, or g + 8.</summary>
    private static int QueryOf(int offset) => (((Group.IdxX >> 5) & 3) * 16) + (Warp.LaneIdx >> 2) + offset;

    private static AttentionQuery LoadQuery(AttentionArguments a, Place place, int offset)
    {
        int m = QueryOf(offset);
        return AttentionQuery.Load(a, place.Position + Index(place, m), Head(place, m), IsUsed(place, m));
    }

    /// <summary>Query m: row by row, the heads side by side. The number of its row in the tile.</summary>
    private static int Index(Place place, int m) => place.FirstIndex + (m / PerRow(place));

    private static int Head(Place place, int m) => (place.KvHead * place.Group) + place.FirstHead + (m % PerRow(place));

    private static bool IsUsed(Place place, int m) =>
        Index(place, m) < place.Rows && m / PerRow(place) < RowsPerWarpGroup(place.Group) && place.FirstHead + (m % PerRow(place)) < place.Group;

    private static int PerRow(Place place) => place.Group < TileQueries ? place.Group : TileQueries;

    private static void Store(
        AttentionArguments a, Place place, AttentionRowQueries own, Tile128 totals, AttentionRowTotals whole, int groups)
    {
        int m = Pinned.Int(QueryOf(0)), dim = (Warp.LaneIdx & 3) * 2;
        Output upper = new() { Row = place.FirstRow + Index(place, m), Head = Head(place, m), Used = own.Upper.Keys, Inverse = Float32.Divide(1, whole.Upper.Sum) };
        Output lower = new() { Row = place.FirstRow + Index(place, m + 8), Head = Head(place, m + 8), Used = own.Lower.Keys, Inverse = Float32.Divide(1, whole.Lower.Sum) };
        StoreTile(a, upper, lower, totals.Left, dim);
        if (groups > 1) StoreTile(a, upper, lower, totals.Right, dim + 64);
    }

    private static void StoreTile(AttentionArguments a, Output upper, Output lower, Tile64 totals, int dim)
    {
        StorePairs(a, upper, lower, totals.T0, dim);
        StorePairs(a, upper, lower, totals.T1, dim + 8);
        StorePairs(a, upper, lower, totals.T2, dim + 16);
        StorePairs(a, upper, lower, totals.T3, dim + 24);
        StorePairs(a, upper, lower, totals.T4, dim + 32);
        StorePairs(a, upper, lower, totals.T5, dim + 40);
        StorePairs(a, upper, lower, totals.T6, dim + 48);
        StorePairs(a, upper, lower, totals.T7, dim + 56);
    }

    private static void StorePairs(AttentionArguments a, Output upper, Output lower, Float4 total, int dim)
    {
        if (dim >= a.HeadDim) return;
        if (upper.Used != 0) GpuAttentionMerge.StoreOutput(a, upper.Row, upper.Head, dim, Halves.Round(total.A * upper.Inverse, total.B * upper.Inverse));
        if (lower.Used != 0) GpuAttentionMerge.StoreOutput(a, lower.Row, lower.Head, dim, Halves.Round(total.C * lower.Inverse, total.D * lower.Inverse));
    }

    /// <summary>Where a query's output goes, if it is one, and what its totals are multiplied with.</summary>
    private struct Output
    {
        public int Row, Head, Used;
        public float Inverse;
    }

    /// <summary>
    /// Where the keys and values of a tile of rows are, from the first that one of them sees to the end: behind the first row, or in a tensor, whose
    /// columns are the elements of a token. The tiles of keys begin at <see cref="Begin"/>.
    /// </summary>
    private struct Source
    {
        public GpuRow Row;
        public long Map;
        public int Column, First, Begin, End;
    }

    /// <summary>Which queries are a warp group's.</summary>
    private struct Place
    {
        public int FirstRow, Rows, Position, Group, KvHead, FirstHead, FirstIndex;
    }
}
