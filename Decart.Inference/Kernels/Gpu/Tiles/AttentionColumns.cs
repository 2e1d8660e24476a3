using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// 64 rows of eight columns, a query each: four accumulators of <see cref="TensorCore"/>. With g = lane / 4 and t = lane % 4 a lane holds of each 16
/// rows A: (g, 2t), B: (g, 2t + 1), C: (g + 8, 2t), D: (g + 8, 2t + 1).
/// </summary>
internal struct Columns64
{
    public Float4 A, B, C, D;
}

/// <summary>A warp's sums: of 16 dimensions, or of 32.</summary>
internal struct AttentionSums
{
    public Float4 A, B;
}

/// <summary>Eight queries as right operands of products over 16 dimensions: a pair of registers for each 16.</summary>
internal struct AttentionQueries
{
    public UInt4 A, B, C, D;
}

/// <summary>Eight columns of weights as right operands of products over 16 keys: of 32 keys each.</summary>
internal struct AttentionWeights
{
    public UInt4 First, Second;
}

/// <summary>Two softmaxes: of the queries of the columns 2t and 2t + 1.</summary>
internal struct AttentionColumnPair
{
    public AttentionSoftmax Even, Odd;
}

/// <summary>
/// What a team of four warps does with eight queries and 64 keys on tensor cores (sm_80): S = K Q' has keys as rows, O = V' P' dimensions, so few queries
/// leave little of the tensor cores idle and registers are few. A warp multiplies 16 of the keys and, when the four have exchanged their products, adds to
/// a quarter of the dimensions. Keys and values lie as <see cref="AttentionStage"/> leaves them.
/// </summary>
internal static class AttentionColumns
{
    public const int TeamWarps = 4;

    private const int Lanes = 32, ProductBytes = 16;

    /// <summary>Shared memory through which a team exchanges the products of a tile.</summary>
    public const int ExchangeBytes = TeamWarps * Lanes * ProductBytes;

    /// <summary>The products of a warp's 16 keys with the queries; over the dimensions in ascending order.</summary>
    /// <param name="keys">Address of the first of the keys.</param>
    /// <param name="queries">The queries.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    public static Float4 Products(int keys, AttentionQueries queries, int groups)
    {
        int lane = Warp.LaneIdx, row = keys + ((lane & 15) * 128 * groups), swizzle = lane & 7, high = lane >> 4;
        // All loads come first: the driver's compiler leaves them where they are, and a product would wait for each.
        Fragments first = LoadKeys(row, swizzle, high), second = default;
        if (groups > 1) second = LoadKeys(row + 128, swizzle, high);
        Float4 products = default;
        products = Multiply(products, first, queries.A, queries.B);
        if (groups > 1) products = Multiply(products, second, queries.C, queries.D);
        return products;
    }

    /// <summary>The same of codes, which lie interleaved (<see cref="GpuKv"/>): a load has the keys of 32 dimensions. Scales are powers of two, so products of scaled keys have the same bits.</summary>
    /// <param name="keys">Address of the first of the keys.</param>
    /// <param name="scales">Address of their scales.</param>
    /// <param name="queries">The queries.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    public static Float4 ProductsOfCodes(int keys, int scales, AttentionQueries queries, int groups)
    {
        int lane = Warp.LaneIdx, row = keys + ((lane & 15) * AttentionStage.RowBytes(groups, codes: true)), swizzle = AttentionStage.Swizzle(lane & 15, groups, codes: true), high = lane >> 4;
        UInt4 first = TensorCore.LoadMatrices(row + ((high ^ swizzle) * 16)), second = TensorCore.LoadMatrices(row + (((2 + high) ^ swizzle) * 16)), third = default, fourth = default;
        if (groups > 1) third = TensorCore.LoadMatrices(row + (((4 + high) ^ swizzle) * 16));
        if (groups > 1) fourth = TensorCore.LoadMatrices(row + (((6 + high) ^ swizzle) * 16));
        float upper = Halves.Low((uint)Shared.LoadInt(scales + ((lane >> 2) * 4))), lower = Halves.Low((uint)Shared.LoadInt(scales + (((lane >> 2) + 8) * 4)));
        Float4 products = default;
        products = Multiply(products, WidenKeys(first, second), queries.A, queries.B);
        if (groups > 1) products = Multiply(products, WidenKeys(third, fourth), queries.C, queries.D);
        return new Float4 { A = products.A * upper, B = products.B * upper, C = products.C * lower, D = products.D * lower };
    }

    /// <summary>Leaves a warp's products for the team.</summary>
    public static void Publish(int exchange, int rank, Float4 products) =>
        Shared.StoreFloat4(exchange + (((rank * Lanes) + Warp.LaneIdx) * ProductBytes), products);

    /// <summary>The products of all 64 keys.</summary>
    public static Columns64 Collect(int exchange)
    {
        int own = exchange + (Warp.LaneIdx * ProductBytes);
        return new Columns64
        {
            A = Shared.LoadFloat4(own),
            B = Shared.LoadFloat4(own + (Lanes * ProductBytes)),
            C = Shared.LoadFloat4(own + (2 * Lanes * ProductBytes)),
            D = Shared.LoadFloat4(own + (3 * Lanes * ProductBytes)),
        };
    }

    /// <summary>Loads the queries of a unit; zeros where there is none, and behind their ends.</summary>
    public static AttentionQueries LoadQueries(AttentionArguments a, AttentionUnit unit, int groups)
    {
        int lane = Pinned.Int(Warp.LaneIdx), head = lane >> 2;
        bool used = head < unit.HeadCount;
        long address = GpuHeads.QueryAddress(a, unit.RowNumber, unit.FirstHead + (used ? head : 0)) + ((lane & 3) * 2 * sizeof(ushort));
        AttentionQueries queries = default;
        queries.A = LoadPairs(a, address, 0, used);
        queries.B = LoadPairs(a, address, 32, used);
        if (groups > 1) queries.C = LoadPairs(a, address, 64, used);
        if (groups > 1) queries.D = LoadPairs(a, address, 96, used);
        return queries;
    }

    /// <summary>The scores that the products of a tile make; see <see cref="AttentionScores"/>.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="products">Of 64 keys.</param>
    /// <param name="tile">The first of them.</param>
    /// <param name="masks">Whether some query does not see some key.</param>
    /// <param name="even">The query of column 2t.</param>
    /// <param name="odd">The query of column 2t + 1.</param>
    public static Columns64 Score(AttentionArguments a, Columns64 products, int tile, bool masks, AttentionQuery even, AttentionQuery odd)
    {
        int key = tile + (Pinned.Int(Warp.LaneIdx) >> 2);
        if (a.Plain == 0)
        {
            products.A = Transform(a, products.A, even, odd, key);
            products.B = Transform(a, products.B, even, odd, key + 16);
            products.C = Transform(a, products.C, even, odd, key + 32);
            products.D = Transform(a, products.D, even, odd, key + 48);
        }
        if (masks)
        {
            products.A = Mask(products.A, even, odd, key);
            products.B = Mask(products.B, even, odd, key + 16);
            products.C = Mask(products.C, even, odd, key + 32);
            products.D = Mask(products.D, even, odd, key + 48);
        }
        return products;
    }

    /// <summary>Turns scores into weights, and brings softmaxes up to date. A thread adds the weights of its keys in ascending order: those that are the same modulo 8.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="scores">Of 64 keys.</param>
    /// <param name="softmax">Both softmaxes.</param>
    /// <param name="factors">What sums so far are multiplied with: A for column 2t, B for 2t + 1.</param>
    public static AttentionWeights Weigh(AttentionArguments a, Columns64 scores, ref AttentionColumnPair softmax, out Float4 factors)
    {
        float evenMax = Float32.Max(softmax.Even.Max, ColumnMax(Largest(scores.A.A, scores.A.C, scores.B.A, scores.B.C, scores.C.A, scores.C.C, scores.D.A, scores.D.C)));
        float oddMax = Float32.Max(softmax.Odd.Max, ColumnMax(Largest(scores.A.B, scores.A.D, scores.B.B, scores.B.D, scores.C.B, scores.C.D, scores.D.B, scores.D.D)));
        factors = default;
        factors.A = Float32.Exp2((softmax.Even.Max - evenMax) * a.Factor);
        factors.B = Float32.Exp2((softmax.Odd.Max - oddMax) * a.Factor);
        softmax.Even.Max = evenMax;
        softmax.Odd.Max = oddMax;
        float evenShift = -(evenMax * a.Factor), oddShift = -(oddMax * a.Factor);
        scores.A = Exp(a, scores.A, evenShift, oddShift);
        scores.B = Exp(a, scores.B, evenShift, oddShift);
        scores.C = Exp(a, scores.C, evenShift, oddShift);
        scores.D = Exp(a, scores.D, evenShift, oddShift);
        softmax.Even.Sum = (softmax.Even.Sum * factors.A) + scores.A.A;
        softmax.Odd.Sum = (softmax.Odd.Sum * factors.B) + scores.A.B;
        softmax.Even.Sum = softmax.Even.Sum + scores.A.C + scores.B.A + scores.B.C + scores.C.A + scores.C.C + scores.D.A + scores.D.C;
        softmax.Odd.Sum = softmax.Odd.Sum + scores.A.D + scores.B.B + scores.B.D + scores.C.B + scores.C.D + scores.D.B + scores.D.D;
        AttentionWeights weights = default;
        weights.First = Operands(scores.A, scores.B);
        weights.Second = Operands(scores.C, scores.D);
        return weights;
    }

    /// <summary>Adds the values of 64 keys, in ascending order, times their weights, for the dimensions of warp number <paramref name="rank"/>.</summary>
    public static AttentionSums AddValues(AttentionSums sums, int values, int rank, AttentionWeights weights, int groups)
    {
        int lane = Warp.LaneIdx, swizzle = lane & 7, row = values + ((((lane >> 4) * 8) + swizzle) * 128 * groups), next = 16 * 128 * groups;
        // Of the pieces of 8 dimensions in 128 bytes.
        int piece = (groups > 1 ? (rank & 1) * 4 : rank * 2) + ((lane >> 3) & 1);
        if (groups > 1) row += (rank >> 1) * 128;
        Fragments first = LoadValues(row + ((piece ^ swizzle) * 16), next), second = default;
        if (groups > 1) second = LoadValues(row + (((piece + 2) ^ swizzle) * 16), next);
        sums.A = Multiply(sums.A, first, weights.First, weights.Second);
        if (groups > 1) sums.B = Multiply(sums.B, second, weights.First, weights.Second);
        return sums;
    }

    /// <summary>The same of codes: a load has the values of 32 keys.</summary>
    public static AttentionSums AddCodes(AttentionSums sums, int stage, int rank, AttentionWeights weights, int groups)
    {
        int lane = Warp.LaneIdx, rowBytes = AttentionStage.RowBytes(groups, codes: true), swizzle = AttentionStage.Swizzle(lane, groups, codes: true);
        int row = stage + AttentionStage.ValuesOffset(groups, codes: true) + (lane * rowBytes), piece = rank * groups;
        int own = row + ((piece ^ swizzle) * 16), next = row + (((piece + 1) ^ swizzle) * 16), scales = AttentionStage.ScalesOf(stage, (lane & 3) * 2, groups);
        UInt4 first = TensorCore.LoadTransposed(own), second = TensorCore.LoadTransposed(own + (32 * rowBytes)), third = default, fourth = default;
        if (groups > 1) third = TensorCore.LoadTransposed(next);
        if (groups > 1) fourth = TensorCore.LoadTransposed(next + (32 * rowBytes));
        UInt4 lower = LoadScales(scales), upper = LoadScales(scales + (32 * 4));
        sums.A = Multiply(sums.A, WidenValues(first, second, lower, upper), weights.First, weights.Second);
        if (groups > 1) sums.B = Multiply(sums.B, WidenValues(third, fourth, lower, upper), weights.First, weights.Second);
        return sums;
    }

    public static AttentionSums Scale(AttentionSums sums, Float4 factors, int groups)
    {
        sums.A = Scale(sums.A, factors);
        if (groups > 1) sums.B = Scale(sums.B, factors);
        return sums;
    }

    /// <summary>totals times <paramref name="old"/> plus sums times <paramref name="factors"/>.</summary>
    public static AttentionSums Merge(AttentionSums totals, Float4 old, AttentionSums sums, Float4 factors, int groups)
    {
        totals.A = Merge(totals.A, old, sums.A, factors);
        if (groups > 1) totals.B = Merge(totals.B, old, sums.B, factors);
        return totals;
    }

    /// <summary>The sum of what the threads of a column hold, the same in all of them.</summary>
    public static float ColumnSum(float value)
    {
        value += Warp.ShuffleXor(value, 4);
        value += Warp.ShuffleXor(value, 8);
        return value + Warp.ShuffleXor(value, 16);
    }

    /// <summary>Of 16 keys, 16 dimensions each.</summary>
    private static Fragments LoadKeys(int row, int swizzle, int high) => new()
    {
        A = TensorCore.LoadMatrices(row + ((high ^ swizzle) * 16)),
        B = TensorCore.LoadMatrices(row + (((2 + high) ^ swizzle) * 16)),
        C = TensorCore.LoadMatrices(row + (((4 + high) ^ swizzle) * 16)),
        D = TensorCore.LoadMatrices(row + (((6 + high) ^ swizzle) * 16)),
    };

    /// <summary>Of 16 dimensions, 16 keys each.</summary>
    private static Fragments LoadValues(int first, int next) => new()
    {
        A = TensorCore.LoadTransposed(first),
        B = TensorCore.LoadTransposed(first + next),
        C = TensorCore.LoadTransposed(first + (2 * next)),
        D = TensorCore.LoadTransposed(first + (3 * next)),
    };

    /// <summary>Of 16 keys, 64 dimensions.</summary>
    private static Fragments WidenKeys(UInt4 near, UInt4 far) => new()
    {
        A = WidenKeys(near.A, near.B),
        B = WidenKeys(near.C, near.D),
        C = WidenKeys(far.A, far.B),
        D = WidenKeys(far.C, far.D),
    };

    /// <summary>Of the keys g and g + 8.</summary>
    private static UInt4 WidenKeys(uint upper, uint lower)
    {
        upper = Separate(upper);
        lower = Separate(lower);
        return new UInt4 { A = E4M3.Low(upper), B = E4M3.Low(lower), C = E4M3.High(upper), D = E4M3.High(lower) };
    }

    /// <summary>Of 16 dimensions, 64 keys.</summary>
    private static Fragments WidenValues(UInt4 near, UInt4 far, UInt4 nearScales, UInt4 farScales) => new()
    {
        A = WidenValues(near.A, near.B, nearScales.A, nearScales.B),
        B = WidenValues(near.C, near.D, nearScales.C, nearScales.D),
        C = WidenValues(far.A, far.B, farScales.A, farScales.B),
        D = WidenValues(far.C, far.D, farScales.C, farScales.D),
    };

    /// <summary>Of the first and the second eight of 16 keys.</summary>
    private static UInt4 WidenValues(uint first, uint second, uint firstScales, uint secondScales)
    {
        first = Separate(first);
        second = Separate(second);
        return new UInt4
        {
            A = Halves.Multiply(E4M3.Low(first), firstScales),
            B = Halves.Multiply(E4M3.High(first), firstScales),
            C = Halves.Multiply(E4M3.Low(second), secondScales),
            D = Halves.Multiply(E4M3.High(second), secondScales),
        };
    }

    /// <summary>The even bytes, then the odd ones.</summary>
    private static uint Separate(uint codes) => Integers.ChooseBytes(codes, 0, 0x3120);

    /// <summary>The scales of the values of keys 2t and 2t + 1 of each eight of 32, two in a register.</summary>
    private static UInt4 LoadScales(int address) => new() { A = LoadPair(address), B = LoadPair(address + 32), C = LoadPair(address + 64), D = LoadPair(address + 96) };

    private static uint LoadPair(int address)
    {
        ulong pair = (ulong)Shared.LoadLong(address);
        return Halves.Highs((uint)pair, (uint)(pair >> 32));
    }

    /// <summary>Adds products over 64 dimensions or keys, in ascending order.</summary>
    private static Float4 Multiply(Float4 sums, Fragments left, UInt4 first, UInt4 second)
    {
        sums = TensorCore.MultiplyHalves(sums, left.A, first.A, first.B);
        sums = TensorCore.MultiplyHalves(sums, left.B, first.C, first.D);
        sums = TensorCore.MultiplyHalves(sums, left.C, second.A, second.B);
        return TensorCore.MultiplyHalves(sums, left.D, second.C, second.D);
    }

    private static UInt4 LoadPairs(AttentionArguments a, long address, int dim, bool used) => new()
    {
        A = LoadPair(a, address, dim, used),
        B = LoadPair(a, address, dim + 8, used),
        C = LoadPair(a, address, dim + 16, used),
        D = LoadPair(a, address, dim + 24, used),
    };

    private static uint LoadPair(AttentionArguments a, long address, int dim, bool used) =>
        used && dim < a.HeadDim ? (uint)Global.LoadInt(address + (dim * sizeof(ushort))) : 0;

    private static Float4 Transform(AttentionArguments a, Float4 products, AttentionQuery even, AttentionQuery odd, int key) => new()
    {
        A = AttentionScores.Transform(a, products.A, even, key),
        B = AttentionScores.Transform(a, products.B, odd, key),
        C = AttentionScores.Transform(a, products.C, even, key + 8),
        D = AttentionScores.Transform(a, products.D, odd, key + 8),
    };

    private static Float4 Mask(Float4 scores, AttentionQuery even, AttentionQuery odd, int key) => new()
    {
        A = AttentionScores.Mask(scores.A, even, key),
        B = AttentionScores.Mask(scores.B, odd, key),
        C = AttentionScores.Mask(scores.C, even, key + 8),
        D = AttentionScores.Mask(scores.D, odd, key + 8),
    };

    private static Float4 Exp(AttentionArguments a, Float4 scores, float even, float odd) => new()
    {
        A = Float32.Exp2(Float32.Fma(scores.A, a.Factor, even)),
        B = Float32.Exp2(Float32.Fma(scores.B, a.Factor, odd)),
        C = Float32.Exp2(Float32.Fma(scores.C, a.Factor, even)),
        D = Float32.Exp2(Float32.Fma(scores.D, a.Factor, odd)),
    };

    private static UInt4 Operands(Float4 first, Float4 second) => new()
    {
        A = TensorCore.Transpose(Halves.Round(first.A, first.B)),
        B = TensorCore.Transpose(Halves.Round(first.C, first.D)),
        C = TensorCore.Transpose(Halves.Round(second.A, second.B)),
        D = TensorCore.Transpose(Halves.Round(second.C, second.D)),
    };

    private static float Largest(float a, float b, float c, float d, float e, float f, float g, float h) =>
        Float32.Max(Float32.Max(Float32.Max(a, b), Float32.Max(c, d)), Float32.Max(Float32.Max(e, f), Float32.Max(g, h)));

    private static float ColumnMax(float value)
    {
        value = Float32.Max(value, Warp.ShuffleXor(value, 4));
        value = Float32.Max(value, Warp.ShuffleXor(value, 8));
        return Float32.Max(value, Warp.ShuffleXor(value, 16));
    }

    private static Float4 Scale(Float4 sum, Float4 factors) =>
        new() { A = sum.A * factors.A, B = sum.B * factors.B, C = sum.C * factors.A, D = sum.D * factors.B };

    private static Float4 Merge(Float4 total, Float4 old, Float4 sum, Float4 factors) => new()
    {
        A = Float32.Fma(sum.A, factors.A, total.A * old.A),
        B = Float32.Fma(sum.B, factors.B, total.B * old.B),
        C = Float32.Fma(sum.C, factors.A, total.C * old.A),
        D = Float32.Fma(sum.D, factors.B, total.D * old.B),
    };

    /// <summary>Four left operands of 16 rows.</summary>
    private struct Fragments
    {
        public UInt4 A, B, C, D;
    }
}
