using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;
using static Decart.Inference.Kernels.Gpu.GpuAttentionTile;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Attention on tensor cores (sm_80) for heads of a multiple of 8 elements. A warp takes a tile of up to 16 queries, rows of one sequence times heads
/// that share a key/value head, and keys in steps of 16 (<see cref="GpuAttentionTile"/>). Warps take units of the work list in turn.
/// </summary>
/// <remarks>
/// Softmax runs over spans of <see cref="SpanTokens"/> keys at absolute positions, which are merged in order as in <see cref="GpuAttention"/>: by the
/// warp itself where an item is all spans, and else, from memory, by the warp that is done last. Keys that a query does not see change none of its bits
/// (weights of 0, factors of 1), so the other queries of a tile do not matter.
/// </remarks>
internal static class GpuTensorAttention
{
    public const int SpanTokens = 128;

    /// <summary>Queries of a tile.</summary>
    public const int TileQueries = 16;

    private const int Lanes = 32, GroupFloats = 32;

    /// <summary>
    /// For heads of up to 64, 128 and 256 elements; queries, keys and values are as <see cref="GpuRotary"/> left them. At least a
    /// warp for each unit: without a loop around them addresses take fewer registers.
    /// </summary>
    public static readonly GpuKernel<AttentionArguments> Heads64 = new(Run64, Lanes * Warps(1)), Heads128 = new(Run128, Lanes * Warps(2)),
        Heads256 = new(Run256, Lanes * Warps(4));

    /// <summary>The same for single tokens, whose heads are normalised, rotated and stored by the way. Any number of groups.</summary>
    public static readonly GpuKernel<AttentionArguments> Decode64 = new(RunDecode64, Lanes * Warps(1)), Decode128 = new(RunDecode128, Lanes * Warps(2)),
        Decode256 = new(RunDecode256, Lanes * Warps(4));

    /// <summary>As <see cref="Heads64"/> and so on for keys and values that are <see cref="Memory.KvCodes"/>.</summary>
    public static readonly GpuKernel<AttentionArguments> Codes64 = new(RunCodes64, Lanes * Warps(1)), Codes128 = new(RunCodes128, Lanes * Warps(2)),
        Codes256 = new(RunCodes256, Lanes * Warps(4));

    /// <summary>As <see cref="Decode64"/> and so on, likewise.</summary>
    public static readonly GpuKernel<AttentionArguments> DecodeCodes64 = new(RunCodesDecode64, Lanes * Warps(1)),
        DecodeCodes128 = new(RunCodesDecode128, Lanes * Warps(2)), DecodeCodes256 = new(RunCodesDecode256, Lanes * Warps(4));

    /// <summary>Warps of a group for heads of up to that many times 64 elements.</summary>
    public static int Warps(int dimGroups) => dimGroups > 2 ? 2 : 4;

    /// <summary>Rows of a tile when that many query heads share a key/value head.</summary>
    public static int RowsPerTile(int group) => group < TileQueries ? TileQueries / group : 1;

    /// <summary>Tiles that the query heads of a key/value head take.</summary>
    public static int HeadTiles(int group) => (group + TileQueries - 1) / TileQueries;

    private static void Run64(AttentionArguments a) => Run(a, 1, rotates: false, codes: false);

    private static void Run128(AttentionArguments a) => Run(a, 2, rotates: false, codes: false);

    private static void Run256(AttentionArguments a) => Run(a, 4, rotates: false, codes: false);

    private static void RunDecode64(AttentionArguments a) => Run(a, 1, rotates: true, codes: false);

    private static void RunDecode128(AttentionArguments a) => Run(a, 2, rotates: true, codes: false);

    private static void RunDecode256(AttentionArguments a) => Run(a, 4, rotates: true, codes: false);

    private static void RunCodes64(AttentionArguments a) => Run(a, 1, rotates: false, codes: true);

    private static void RunCodes128(AttentionArguments a) => Run(a, 2, rotates: false, codes: true);

    private static void RunCodes256(AttentionArguments a) => Run(a, 4, rotates: false, codes: true);

    private static void RunCodesDecode64(AttentionArguments a) => Run(a, 1, rotates: true, codes: true);

    private static void RunCodesDecode128(AttentionArguments a) => Run(a, 2, rotates: true, codes: true);

    private static void RunCodesDecode256(AttentionArguments a) => Run(a, 4, rotates: true, codes: true);

    /// <param name="a">The operation.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1, 2 or 4.</param>
    /// <param name="rotates">Whether rows are rotated and stored: a constant.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    private static void Run(AttentionArguments a, int groups, bool rotates, bool codes)
    {
        ArrayView<float> memory = SharedMemory.Allocate1D<float>(4 * 2 * GroupFloats * Lanes).BaseView;
        int warps = groups > 2 ? 2 : 4, warp = Group.IdxX / Lanes, place = warp * groups * GroupFloats * Lanes;
        int items = GpuAttentionWork.Items(a.Work), units = items * a.KvHeads * (((a.Heads / a.KvHeads) + TileQueries - 1) / TileQueries);
        for (int unit = (Grid.IdxX * warps) + warp; unit < units; unit += Grid.DimX * warps)
        {
            // Neighbouring warps take neighbouring items of the same heads.
            a.HeadDim = Pinned.Int(a.HeadDim);
            RunUnit(a, unit % items, unit / items, memory, Pinned.Int(place), groups, rotates, codes);
            if (!rotates) return;
            Warp.Barrier();
        }
    }

    /// <param name="a">The operation.</param>
    /// <param name="item">The item of the work list.</param>
    /// <param name="heads">Which key/value head and which of the tiles of its query heads.</param>
    /// <param name="memory">Shared memory.</param>
    /// <param name="place">Where the warp's part of it begins: as many floats for each lane as it has of the outputs.</param>
    /// <param name="groups">See <see cref="Run"/>.</param>
    /// <param name="rotates">See <see cref="Run"/>.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    private static void RunUnit(AttentionArguments a, int item, int heads, ArrayView<float> memory, int place, int groups, bool rotates, bool codes)
    {
        int group = a.Heads / a.KvHeads, headTiles = (group + TileQueries - 1) / TileQueries, kvHead = heads / headTiles, headTile = heads % headTiles;
        int tileNumber = GpuAttentionWork.TileOf(a.Work, item);
        GpuTile tile = GpuAttentionWork.Load(a.Work, tileNumber);
        GpuRow row = GpuRow.Load(a.Rows, tile.FirstRow);
        Softmax upper = Describe(a, row, tile, kvHead, headTile, group, Warp.LaneIdx / 4);
        Softmax lower = Describe(a, row, tile, kvHead, headTile, group, (Warp.LaneIdx / 4) + 8);
        int end = row.Position + tile.Rows, first = a.Window != 0 && row.Position >= a.Window ? row.Position - a.Window + 1 : 0;
        int span = first / SpanTokens, lastSpan = (end - 1) / SpanTokens;
        bool divided = tile.Items > 1;
        if (divided) span += item - tile.FirstItem;
        bool hasLastSpan = !divided || span == lastSpan;
        if (divided) lastSpan = span;
        long keys = GpuKv.KeyOffset(a, kvHead, codes), scales = GpuKv.ScaleOffset(a, kvHead);
        Query query;
        if (rotates)
        {
            GpuAttentionQuery.Rotate(a, row, tile.FirstRow, kvHead, headTile, group, hasLastSpan, memory, place, groups, codes);
            query = GpuAttentionQuery.LoadRotated(upper, lower, memory, place, groups);
            Warp.Barrier();
        }
        else
        {
            query = GpuAttentionQuery.Load(a, upper, lower, groups);
        }

        // Lane by lane, so that no two meet in a bank: what the lane has merged so far.
        int own = place + Warp.LaneIdx;
        float upperMax = NoMaximum, upperSum = 0, lowerMax = NoMaximum, lowerSum = 0;
        if (!divided)
        {
            for (int i = 0; i < groups * GroupFloats; i++) memory[own + (i * Lanes)] = 0;
        }
        for (; span <= lastSpan; span++)
        {
            Outputs outputs = default;
            upper.Max = NoMaximum;
            lower.Max = NoMaximum;
            upper.Sum = 0;
            lower.Sum = 0;
            int begin = span * SpanTokens, stop = begin + SpanTokens < end ? begin + SpanTokens : end;
            if (begin < first) begin = first / StepKeys * StepKeys;
            for (int key = begin; key < stop; key += StepKeys) Step(a, row, key, end, keys, scales, query, ref upper, ref lower, ref outputs, groups, codes);
            upper.Sum = QuadSum(upper.Sum);
            lower.Sum = QuadSum(lower.Sum);
            if (divided)
            {
                StorePartial(a, row, tile.FirstRow, span, upper, outputs, isLower: false, groups);
                StorePartial(a, row, tile.FirstRow, span, lower, outputs, isLower: true, groups);
            }
            else
            {
                float newUpperMax = Max(upperMax, upper.Max), newLowerMax = Max(lowerMax, lower.Max);
                float oldUpper = GpuMath.Exp(upperMax - newUpperMax), upperFactor = GpuMath.Exp(upper.Max - newUpperMax);
                float oldLower = GpuMath.Exp(lowerMax - newLowerMax), lowerFactor = GpuMath.Exp(lower.Max - newLowerMax);
                Merge(memory, own, oldUpper, upperFactor, oldLower, lowerFactor, outputs.A);
                if (groups > 1) Merge(memory, own + (GroupFloats * Lanes), oldUpper, upperFactor, oldLower, lowerFactor, outputs.B);
                if (groups > 2) Merge(memory, own + (2 * GroupFloats * Lanes), oldUpper, upperFactor, oldLower, lowerFactor, outputs.C);
                if (groups > 2) Merge(memory, own + (3 * GroupFloats * Lanes), oldUpper, upperFactor, oldLower, lowerFactor, outputs.D);
                upperSum = Float32.Fma(upperSum, oldUpper, upper.Sum * upperFactor);
                lowerSum = Float32.Fma(lowerSum, oldLower, lower.Sum * lowerFactor);
                upperMax = newUpperMax;
                lowerMax = newLowerMax;
            }
        }
        if (divided)
        {
            if (IsLast(a, tileNumber, tile.Items, heads)) MergeTile(a, tile, kvHead, headTile, group);
        }
        else
        {
            StoreRow(a, upper, memory, own, upperSum, groups);
            StoreRow(a, lower, memory, own + (2 * 8 * Lanes), lowerSum, groups);
        }
    }

    /// <summary>Query m of a tile: row by row, the heads side by side. What is beyond the tile sees no key.</summary>
    private static Softmax Describe(AttentionArguments a, GpuRow row, GpuTile tile, int kvHead, int headTile, int group, int m)
    {
        int perRow = group < TileQueries ? group : TileQueries, index = m / perRow, head = (headTile * TileQueries) + (m % perRow);
        bool used = index < tile.Rows && head < group;
        int position = used ? row.Position + index : -1;
        Softmax query = new()
        {
            Row = tile.FirstRow + index,
            Head = (kvHead * group) + head,
            Position = position,
            First = a.Window != 0 ? position - a.Window + 1 : 0,
        };
        if (used && a.Slopes != 0) query.Slope = Global.LoadFloat(a.Slopes + (query.Head * sizeof(float)));
        return query;
    }

    /// <summary>Whether the warp is the last that is done with an item of a tile; if so it sees what the others have stored.</summary>
    private static bool IsLast(AttentionArguments a, int tile, int items, int heads)
    {
        long counter = a.Counters + ((((long)heads * Global.LoadInt(a.Work)) + tile) * sizeof(int));
        Warp.Barrier();
        int done = 0;
        if (Warp.LaneIdx == 0) done = Global.AddOrdered(counter, 1);
        done = Warp.Shuffle(done, 0);
        Warp.Barrier();
        if (done != items - 1) return false;
        if (Warp.LaneIdx == 0) Global.StoreInt(counter, 0);
        return true;
    }

    private static void MergeTile(AttentionArguments a, GpuTile tile, int kvHead, int headTile, int group)
    {
        int first = headTile * TileQueries, count = group - first < TileQueries ? group - first : TileQueries;
        for (int row = tile.FirstRow; row < tile.FirstRow + tile.Rows; row++)
        {
            for (int head = 0; head < count; head++) GpuAttention.MergeSplits(a, row, (kvHead * group) + first + head, Warp.LaneIdx, Lanes);
        }
    }

    /// <summary>The order of a lane's 32 floats: query g's dimensions 16t .. 16t + 15, then query g + 8's.</summary>
    private static void Merge(ArrayView<float> totals, int place, float oldUpper, float upper, float oldLower, float lower, Sums sums)
    {
        Merge(totals, place, oldUpper, upper, oldLower, lower, sums.A);
        Merge(totals, place + Lanes, oldUpper, upper, oldLower, lower, sums.B);
        Merge(totals, place + (2 * Lanes), oldUpper, upper, oldLower, lower, sums.C);
        Merge(totals, place + (3 * Lanes), oldUpper, upper, oldLower, lower, sums.D);
        Merge(totals, place + (4 * Lanes), oldUpper, upper, oldLower, lower, sums.E);
        Merge(totals, place + (5 * Lanes), oldUpper, upper, oldLower, lower, sums.F);
        Merge(totals, place + (6 * Lanes), oldUpper, upper, oldLower, lower, sums.G);
        Merge(totals, place + (7 * Lanes), oldUpper, upper, oldLower, lower, sums.H);
    }

    private static void Merge(ArrayView<float> totals, int place, float oldUpper, float upper, float oldLower, float lower, Float4 sum)
    {
        totals[place] = Float32.Fma(totals[place], oldUpper, sum.A * upper);
        totals[place + (8 * Lanes)] = Float32.Fma(totals[place + (8 * Lanes)], oldUpper, sum.B * upper);
        totals[place + (16 * Lanes)] = Float32.Fma(totals[place + (16 * Lanes)], oldLower, sum.C * lower);
        totals[place + (24 * Lanes)] = Float32.Fma(totals[place + (24 * Lanes)], oldLower, sum.D * lower);
    }

    /// <summary>Stores a query's output; <paramref name="place"/> is where its first float is.</summary>
    private static void StoreRow(AttentionArguments a, Softmax query, ArrayView<float> totals, int place, float weightSum, int groups)
    {
        if (query.Position < 0) return;
        for (int i = 0; i < groups * 2; i++)
        {
            int dim = (i / 2 * GroupDims) + (Warp.LaneIdx % 4 * 16) + (i % 2 * 8), from = place + (((i / 2 * GroupFloats) + (i % 2 * 8)) * Lanes);
            if (dim < a.HeadDim)
            {
                UInt4 halves = new()
                {
                    A = Halves.SaturatePair(totals[from] / weightSum, totals[from + Lanes] / weightSum),
                    B = Halves.SaturatePair(totals[from + (2 * Lanes)] / weightSum, totals[from + (3 * Lanes)] / weightSum),
                    C = Halves.SaturatePair(totals[from + (4 * Lanes)] / weightSum, totals[from + (5 * Lanes)] / weightSum),
                    D = Halves.SaturatePair(totals[from + (6 * Lanes)] / weightSum, totals[from + (7 * Lanes)] / weightSum),
                };
                Global.Store16(a.Y + CoreTiles.OperandOffset(query.Row, (query.Head * a.HeadDim) + dim, a.YStride, a.YBlockRows), halves);
            }
        }
    }

    private static void StorePartial(
        AttentionArguments a, GpuRow row, int firstRow, int span, Softmax query, Outputs outputs, bool isLower, int groups)
    {
        int first = query.First > 0 ? query.First / SpanTokens : 0;
        if (query.Position < 0 || span < first || span > query.Position / SpanTokens) return;
        int start = query.Row == firstRow ? row.PartialStart : GpuRow.Load(a.Rows, query.Row).PartialStart;
        long partial = GpuAttention.PartialAddress(a, start + span - first, query.Head);
        StoreSums(a, partial, 0, outputs.A, isLower);
        if (groups > 1) StoreSums(a, partial, GroupDims, outputs.B, isLower);
        if (groups > 2) StoreSums(a, partial, 2 * GroupDims, outputs.C, isLower);
        if (groups > 2) StoreSums(a, partial, 3 * GroupDims, outputs.D, isLower);
        if (Warp.LaneIdx % 4 != 0) return;
        Global.StoreFloat(partial + (a.HeadDim * sizeof(float)), query.Max);
        Global.StoreFloat(partial + ((a.HeadDim + 1) * sizeof(float)), query.Sum);
    }

    private static void StoreSums(AttentionArguments a, long partial, int dim, Sums sums, bool isLower)
    {
        dim += Warp.LaneIdx % 4 * 16;
        if (dim < a.HeadDim) StoreEight(partial + (dim * sizeof(float)), sums, isLower ? 2 : 0);
        if (dim + 8 < a.HeadDim) StoreEight(partial + ((dim + 8) * sizeof(float)), sums, isLower ? 3 : 1);
    }

    /// <summary>Stores one register of each field.</summary>
    private static void StoreEight(long address, Sums sums, int register)
    {
        Global.StoreFloat4(
            address, new Float4 { A = Pick(sums.A, register), B = Pick(sums.B, register), C = Pick(sums.C, register), D = Pick(sums.D, register) });
        Global.StoreFloat4(
            address + 16, new Float4 { A = Pick(sums.E, register), B = Pick(sums.F, register), C = Pick(sums.G, register), D = Pick(sums.H, register) });
    }

    private static float Pick(Float4 sum, int register) => register == 0 ? sum.A : register == 1 ? sum.B : register == 2 ? sum.C : sum.D;
}
