using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Attention on tensor cores (sm_80) for heads of a multiple of 8 elements. A warp takes a tile of up to 16 queries, rows of one sequence times heads
/// that share a key/value head, and keys in steps of 16; everything stays in registers. With g = lane / 4 and t = lane % 4: S = Q K^T has queries g
/// and g + 8 and, by the order in which keys are loaded, keys 4t .. 4t + 3 in a lane; those are the columns of P that the lane holds as the left
/// operand of O = P V, whose right operand it makes of 16 bytes of each of the four values, its dimensions 8g .. 8g + 7 of 64. So a lane ends with
/// dimensions 16t .. 16t + 15 of 64 of its queries.
/// </summary>
/// <remarks>
/// Softmax runs over spans of <see cref="SpanTokens"/> keys at absolute positions, which are merged in order as in <see cref="GpuAttention"/>. Keys
/// that a query does not see change none of its bits (weights of 0, factors of 1), so the other queries of a tile do not matter.
/// </remarks>
internal static class GpuTensorAttention
{
    public const int SpanTokens = 128;

    /// <summary>Queries of a tile.</summary>
    public const int TileQueries = 16;

    private const int Lanes = 32, StepKeys = 16, GroupDims = 64, GroupFloats = 32;

    /// <summary>In place of minus infinity, so that the difference of two is a number.</summary>
    private const float NoMaximum = -1e30f;

    /// <summary>
    /// For heads of up to 64, 128 and 256 elements. Groups: tiles / warps, key/value heads times head tiles; or, with partials, tiles, heads as
    /// before, and spans / warps.
    /// </summary>
    public static readonly GpuKernel<AttentionArguments> Heads64 = new(Run64, Lanes * Warps(1)), Heads128 = new(Run128, Lanes * Warps(2)),
        Heads256 = new(Run256, Lanes * Warps(4));

    /// <summary>A lane's part of 64 dimensions: of query g (A, B) and g + 8 (C, D) dimensions 16t + j and 16t + 8 + j in the j-th field.</summary>
    private struct Sums
    {
        public Float4 A, B, C, D, E, F, G, H;
    }

    private struct Outputs
    {
        public Sums A, B, C, D;
    }

    /// <summary>Dimensions 8t .. 8t + 7 of 32 of query g and of query g + 8.</summary>
    private struct Fragment
    {
        public UInt4 Upper, Lower;
    }

    private struct Query
    {
        public Fragment A, B, C, D, E, F, G, H;
    }

    /// <summary>The lane's eight dimensions of the values of its four keys.</summary>
    private struct Values
    {
        public UInt4 A, B, C, D;
    }

    private struct ValueAddresses
    {
        public long A, B, C, D;
    }

    /// <summary>A query of a lane and the state of its softmax.</summary>
    private struct Softmax
    {
        public int Row, Head, Position, First;
        public float Slope, Max, Sum;
    }

    /// <summary>Warps of a group for heads of up to that many times 64 elements.</summary>
    public static int Warps(int dimGroups) => dimGroups > 2 ? 2 : 4;

    /// <summary>Rows of a tile when that many query heads share a key/value head.</summary>
    public static int RowsPerTile(int group) => group < TileQueries ? TileQueries / group : 1;

    /// <summary>Tiles that the query heads of a key/value head take.</summary>
    public static int HeadTiles(int group) => (group + TileQueries - 1) / TileQueries;

    private static void Run64(AttentionArguments a) => Run(a, 1);

    private static void Run128(AttentionArguments a) => Run(a, 2);

    private static void Run256(AttentionArguments a) => Run(a, 4);

    /// <param name="a">The operation.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1, 2 or 4.</param>
    private static void Run(AttentionArguments a, int groups)
    {
        ArrayView<float> totals = SharedMemory.Allocate1D<float>(4 * 2 * GroupFloats * Lanes).BaseView;
        int warps = groups > 2 ? 2 : 4, warp = Group.IdxX / Lanes;
        int tile = a.Partials != 0 ? Grid.IdxX : (Grid.IdxX * warps) + warp;
        if (tile >= a.TileCount) return;
        int firstRow = Global.LoadInt(a.Tiles + (tile * 2 * sizeof(int))), count = Global.LoadInt(a.Tiles + (((tile * 2) + 1) * sizeof(int)));
        int group = a.Heads / a.KvHeads, headTiles = (group + TileQueries - 1) / TileQueries;
        int kvHead = Grid.IdxY / headTiles, headTile = Grid.IdxY % headTiles;
        GpuRow row = GpuRow.Load(a.Rows, firstRow);
        Softmax upper = Describe(a, row, firstRow, count, kvHead, headTile, group, Warp.LaneIdx / 4);
        Softmax lower = Describe(a, row, firstRow, count, kvHead, headTile, group, (Warp.LaneIdx / 4) + 8);
        int end = row.Position + count, first = a.Window != 0 && row.Position >= a.Window ? row.Position - a.Window + 1 : 0;
        int span = first / SpanTokens, lastSpan = (end - 1) / SpanTokens;
        if (a.Partials != 0)
        {
            span += (Grid.IdxZ * warps) + warp;
            if (span > lastSpan) return;
            lastSpan = span;
        }
        long keys = (((long)a.Layer * 2 * a.KvHeads) + kvHead) * a.HeadDim * sizeof(ushort);
        Query query = LoadQuery(a, upper, lower, groups);

        // Lane by lane, so that no two meet in a bank: what the lane has merged so far.
        int place = (warp * groups * GroupFloats * Lanes) + Warp.LaneIdx;
        float upperMax = NoMaximum, upperSum = 0, lowerMax = NoMaximum, lowerSum = 0;
        if (a.Partials == 0)
        {
            for (int i = 0; i < groups * GroupFloats; i++) totals[place + (i * Lanes)] = 0;
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
            for (int key = begin; key < stop; key += StepKeys) Step(a, row, key, end, keys, query, ref upper, ref lower, ref outputs, groups);
            upper.Sum = QuadSum(upper.Sum);
            lower.Sum = QuadSum(lower.Sum);
            if (a.Partials != 0)
            {
                StorePartial(a, span, upper, outputs, isLower: false, groups);
                StorePartial(a, span, lower, outputs, isLower: true, groups);
                return;
            }
            float newUpperMax = Max(upperMax, upper.Max), newLowerMax = Max(lowerMax, lower.Max);
            float oldUpper = GpuMath.Exp(upperMax - newUpperMax), upperFactor = GpuMath.Exp(upper.Max - newUpperMax);
            float oldLower = GpuMath.Exp(lowerMax - newLowerMax), lowerFactor = GpuMath.Exp(lower.Max - newLowerMax);
            Merge(totals, place, oldUpper, upperFactor, oldLower, lowerFactor, outputs.A);
            if (groups > 1) Merge(totals, place + (GroupFloats * Lanes), oldUpper, upperFactor, oldLower, lowerFactor, outputs.B);
            if (groups > 2) Merge(totals, place + (2 * GroupFloats * Lanes), oldUpper, upperFactor, oldLower, lowerFactor, outputs.C);
            if (groups > 2) Merge(totals, place + (3 * GroupFloats * Lanes), oldUpper, upperFactor, oldLower, lowerFactor, outputs.D);
            upperSum = Float32.Fma(upperSum, oldUpper, upper.Sum * upperFactor);
            lowerSum = Float32.Fma(lowerSum, oldLower, lower.Sum * lowerFactor);
            upperMax = newUpperMax;
            lowerMax = newLowerMax;
        }
        StoreRow(a, upper, totals, place, upperSum, groups);
        StoreRow(a, lower, totals, place + (2 * 8 * Lanes), lowerSum, groups);
    }

    /// <summary>Query m of a tile: row by row, the heads side by side. What is beyond the tile sees no key.</summary>
    private static Softmax Describe(AttentionArguments a, GpuRow row, int firstRow, int count, int kvHead, int headTile, int group, int m)
    {
        int perRow = group < TileQueries ? group : TileQueries, index = m / perRow, head = (headTile * TileQueries) + (m % perRow);
        bool used = index < count && head < group;
        int position = used ? row.Position + index : -1;
        Softmax query = new()
        {
            Row = firstRow + index,
            Head = (kvHead * group) + head,
            Position = position,
            First = a.Window != 0 ? position - a.Window + 1 : 0,
        };
        if (used && a.Slopes != 0) query.Slope = Global.LoadFloat(a.Slopes + (query.Head * sizeof(float)));
        return query;
    }

    private static Query LoadQuery(AttentionArguments a, Softmax upper, Softmax lower, int groups)
    {
        Query query = default;
        query.A = LoadFragment(a, upper, lower, 0);
        query.B = LoadFragment(a, upper, lower, 32);
        if (groups > 1) query.C = LoadFragment(a, upper, lower, 64);
        if (groups > 1) query.D = LoadFragment(a, upper, lower, 96);
        if (groups > 2) query.E = LoadFragment(a, upper, lower, 128);
        if (groups > 2) query.F = LoadFragment(a, upper, lower, 160);
        if (groups > 2) query.G = LoadFragment(a, upper, lower, 192);
        if (groups > 2) query.H = LoadFragment(a, upper, lower, 224);
        return query;
    }

    private static Fragment LoadFragment(AttentionArguments a, Softmax upper, Softmax lower, int dim) => new()
    {
        Upper = LoadHalves(a, upper, dim + (Warp.LaneIdx % 4 * 8)),
        Lower = LoadHalves(a, lower, dim + (Warp.LaneIdx % 4 * 8)),
    };

    /// <summary>Eight elements of a query; zeros behind its end and where there is no query.</summary>
    private static UInt4 LoadHalves(AttentionArguments a, Softmax query, int dim)
    {
        UInt4 halves = default;
        if (query.Position < 0 || dim >= a.HeadDim) return halves;
        long address = a.Qkv + ((((long)query.Row * a.QkvStride) + ((long)query.Head * a.HeadDim) + dim) * sizeof(float));
        Float4 x = Global.LoadFloat4(address), y = Global.LoadFloat4(address + 16);
        halves.A = Halves.SaturatePair(x.A, x.B);
        halves.B = Halves.SaturatePair(x.C, x.D);
        halves.C = Halves.SaturatePair(y.A, y.B);
        halves.D = Halves.SaturatePair(y.C, y.D);
        return halves;
    }

    /// <summary>
    /// 16 keys and their values. Keys past the end repeat the last one, dimensions past the head's end its last ones; neither counts.
    /// </summary>
    private static void Step(
        AttentionArguments a, GpuRow row, int key, int end, long keys, Query query, ref Softmax upper, ref Softmax lower, ref Outputs outputs, int groups)
    {
        int g = Warp.LaneIdx / 4, t = Warp.LaneIdx % 4, own = key + (g / 2 * 4) + (g % 2);
        ValueAddresses rows = AddressesOf(row, key + (4 * t), end, keys + ((long)a.KvHeads * a.HeadDim * sizeof(ushort)));
        Values first = default, second = default;
        if (groups <= 2)
        {
            // There are registers enough to have the values on their way meanwhile.
            first = LoadValues(rows, Offset(a, 8 * g));
            if (groups > 1) second = LoadValues(rows, Offset(a, GroupDims + (8 * g)));
        }
        Float4 near = Scores(a, KeyAddress(row, own, end) + keys, query, groups), far = Scores(a, KeyAddress(row, own + 2, end) + keys, query, groups);
        if (a.SoftCap != 0)
        {
            near = SoftCap(near, a.Scale, a.SoftCap);
            far = SoftCap(far, a.Scale, a.SoftCap);
        }
        float scale = a.SoftCap != 0 ? 1 : a.Scale;
        key += 4 * t;
        near.A = Score(near.A * scale, upper, key);
        near.B = Score(near.B * scale, upper, key + 1);
        far.A = Score(far.A * scale, upper, key + 2);
        far.B = Score(far.B * scale, upper, key + 3);
        near.C = Score(near.C * scale, lower, key);
        near.D = Score(near.D * scale, lower, key + 1);
        far.C = Score(far.C * scale, lower, key + 2);
        far.D = Score(far.D * scale, lower, key + 3);
        float upperMax = Max(upper.Max, QuadMax(Max(Max(near.A, near.B), Max(far.A, far.B))));
        float lowerMax = Max(lower.Max, QuadMax(Max(Max(near.C, near.D), Max(far.C, far.D))));
        float upperFactor = GpuMath.Exp(upper.Max - upperMax), lowerFactor = GpuMath.Exp(lower.Max - lowerMax);
        near = new Float4
        {
            A = GpuMath.Exp(near.A - upperMax),
            B = GpuMath.Exp(near.B - upperMax),
            C = GpuMath.Exp(near.C - lowerMax),
            D = GpuMath.Exp(near.D - lowerMax),
        };
        far = new Float4
        {
            A = GpuMath.Exp(far.A - upperMax),
            B = GpuMath.Exp(far.B - upperMax),
            C = GpuMath.Exp(far.C - lowerMax),
            D = GpuMath.Exp(far.D - lowerMax),
        };
        upper.Sum = Float32.Fma(upper.Sum, upperFactor, near.A + near.B + (far.A + far.B));
        lower.Sum = Float32.Fma(lower.Sum, lowerFactor, near.C + near.D + (far.C + far.D));
        upper.Max = upperMax;
        lower.Max = lowerMax;

        UInt4 weights = new()
        {
            A = Halves.Round(near.A, near.B),
            B = Halves.Round(near.C, near.D),
            C = Halves.Round(far.A, far.B),
            D = Halves.Round(far.C, far.D),
        };
        if (groups > 2)
        {
            first = LoadValues(rows, Offset(a, 8 * g));
            second = LoadValues(rows, Offset(a, GroupDims + (8 * g)));
        }
        outputs.A = AddValues(outputs.A, weights, upperFactor, lowerFactor, first);
        if (groups > 1) outputs.B = AddValues(outputs.B, weights, upperFactor, lowerFactor, second);
        if (groups > 2) outputs.C = AddValues(outputs.C, weights, upperFactor, lowerFactor, LoadValues(rows, Offset(a, (2 * GroupDims) + (8 * g))));
        if (groups > 2) outputs.D = AddValues(outputs.D, weights, upperFactor, lowerFactor, LoadValues(rows, Offset(a, (3 * GroupDims) + (8 * g))));
    }

    private static ValueAddresses AddressesOf(GpuRow row, int key, int end, long offset) => new()
    {
        A = KeyAddress(row, key, end) + offset,
        B = KeyAddress(row, key + 1, end) + offset,
        C = KeyAddress(row, key + 2, end) + offset,
        D = KeyAddress(row, key + 3, end) + offset,
    };

    private static Values LoadValues(ValueAddresses rows, int offset) => new()
    {
        A = Global.Load16(rows.A + offset),
        B = Global.Load16(rows.B + offset),
        C = Global.Load16(rows.C + offset),
        D = Global.Load16(rows.D + offset),
    };

    private static Float4 SoftCap(Float4 products, float scale, float cap) => new()
    {
        A = GpuMath.SoftCap(products.A * scale, cap),
        B = GpuMath.SoftCap(products.B * scale, cap),
        C = GpuMath.SoftCap(products.C * scale, cap),
        D = GpuMath.SoftCap(products.D * scale, cap),
    };

    private static long KeyAddress(GpuRow row, int key, int end) => GpuRow.TokenAddress(row, key < end ? key : end - 1);

    /// <summary>Bytes from the head's start to eight of its elements.</summary>
    private static int Offset(AttentionArguments a, int dim) => (dim < a.HeadDim ? dim : a.HeadDim - 8) * sizeof(ushort);

    private static Float4 Scores(AttentionArguments a, long key, Query query, int groups)
    {
        int dim = Warp.LaneIdx % 4 * 8;
        Float4 scores = default;
        scores = Multiply(scores, query.A, Global.Load16(key + Offset(a, dim)));
        scores = Multiply(scores, query.B, Global.Load16(key + Offset(a, dim + 32)));
        if (groups > 1) scores = Multiply(scores, query.C, Global.Load16(key + Offset(a, dim + 64)));
        if (groups > 1) scores = Multiply(scores, query.D, Global.Load16(key + Offset(a, dim + 96)));
        if (groups > 2) scores = Multiply(scores, query.E, Global.Load16(key + Offset(a, dim + 128)));
        if (groups > 2) scores = Multiply(scores, query.F, Global.Load16(key + Offset(a, dim + 160)));
        if (groups > 2) scores = Multiply(scores, query.G, Global.Load16(key + Offset(a, dim + 192)));
        if (groups > 2) scores = Multiply(scores, query.H, Global.Load16(key + Offset(a, dim + 224)));
        return scores;
    }

    private static Float4 Multiply(Float4 sum, Fragment query, UInt4 key)
    {
        UInt4 left = new() { A = query.Upper.A, B = query.Lower.A, C = query.Upper.B, D = query.Lower.B };
        UInt4 right = new() { A = query.Upper.C, B = query.Lower.C, C = query.Upper.D, D = query.Lower.D };
        return TensorCore.MultiplyHalves(TensorCore.MultiplyHalves(sum, left, key.A, key.B), right, key.C, key.D);
    }

    private static float Score(float score, Softmax query, int key)
    {
        score = Float32.Fma(query.Slope, key - query.Position, score);
        return key <= query.Position && key >= query.First ? score : float.NegativeInfinity;
    }

    private static Sums AddValues(Sums sums, UInt4 weights, float upper, float lower, Values v) => new()
    {
        A = TensorCore.MultiplyHalves(Scale(sums.A, upper, lower), weights, Halves.Lows(v.A.A, v.B.A), Halves.Lows(v.C.A, v.D.A)),
        B = TensorCore.MultiplyHalves(Scale(sums.B, upper, lower), weights, Halves.Highs(v.A.A, v.B.A), Halves.Highs(v.C.A, v.D.A)),
        C = TensorCore.MultiplyHalves(Scale(sums.C, upper, lower), weights, Halves.Lows(v.A.B, v.B.B), Halves.Lows(v.C.B, v.D.B)),
        D = TensorCore.MultiplyHalves(Scale(sums.D, upper, lower), weights, Halves.Highs(v.A.B, v.B.B), Halves.Highs(v.C.B, v.D.B)),
        E = TensorCore.MultiplyHalves(Scale(sums.E, upper, lower), weights, Halves.Lows(v.A.C, v.B.C), Halves.Lows(v.C.C, v.D.C)),
        F = TensorCore.MultiplyHalves(Scale(sums.F, upper, lower), weights, Halves.Highs(v.A.C, v.B.C), Halves.Highs(v.C.C, v.D.C)),
        G = TensorCore.MultiplyHalves(Scale(sums.G, upper, lower), weights, Halves.Lows(v.A.D, v.B.D), Halves.Lows(v.C.D, v.D.D)),
        H = TensorCore.MultiplyHalves(Scale(sums.H, upper, lower), weights, Halves.Highs(v.A.D, v.B.D), Halves.Highs(v.C.D, v.D.D)),
    };

    private static Float4 Scale(Float4 sum, float upper, float lower) =>
        new() { A = sum.A * upper, B = sum.B * upper, C = sum.C * lower, D = sum.D * lower };

    private static float Max(float a, float b) => a > b ? a : b;

    private static float QuadMax(float value)
    {
        value = Max(value, Warp.ShuffleXor(value, 1));
        return Max(value, Warp.ShuffleXor(value, 2));
    }

    private static float QuadSum(float value)
    {
        value += Warp.ShuffleXor(value, 1);
        return value + Warp.ShuffleXor(value, 2);
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
                Global.Store16(a.Y + ((((long)query.Row * a.YStride) + ((long)query.Head * a.HeadDim) + dim) * sizeof(ushort)), halves);
            }
        }
    }

    private static void StorePartial(AttentionArguments a, int span, Softmax query, Outputs outputs, bool isLower, int groups)
    {
        int first = query.First > 0 ? query.First / SpanTokens : 0;
        if (query.Position < 0 || span < first || span > query.Position / SpanTokens) return;
        long partial = GpuAttention.PartialAddress(a, query.Row, query.Head, span - first);
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
