using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>Weights of a warp group's 64 queries as left operands of products over 16 keys: of 64 keys.</summary>
internal struct AttentionRowWeights
{
    public UInt4 A, B, C, D;
}

/// <summary>The softmax of a query over a split: the thread's part of the sum is one of weights of even keys and one of odd ones.</summary>
internal struct AttentionRowSoftmax
{
    public float Max, Even, Odd;

    /// <summary>Before the first key.</summary>
    public static AttentionRowSoftmax None => new() { Max = AttentionScores.NoMaximum };
}

/// <summary>Of each pair: Upper is query g of the warp's 16, Lower is query g + 8, with g = lane / 4.</summary>
internal struct AttentionRowQueries
{
    public AttentionQuery Upper, Lower;
}

/// <inheritdoc cref="AttentionRowQueries"/>
internal struct AttentionRowSoftmaxes
{
    public AttentionRowSoftmax Upper, Lower;
}

/// <inheritdoc cref="AttentionRowQueries"/>
internal struct AttentionRowTotals
{
    public AttentionSoftmax Upper, Lower;
}

/// <inheritdoc cref="AttentionRowQueries"/>
internal struct AttentionRowFactors
{
    public float Upper, Lower;
}

/// <summary>
/// What a warp group does with 64 queries and 64 keys by <see cref="WarpGroup"/>: S = Q K' and O = P V have queries as rows. The operations on each number
/// are those of <see cref="AttentionColumns"/>, so the bits are the same.
/// </summary>
internal static class AttentionRows
{
    /// <inheritdoc cref="AttentionColumns.Weigh"/>
    /// <param name="a">The operation.</param>
    /// <param name="products">Of 64 keys.</param>
    /// <param name="tile">The first of them.</param>
    /// <param name="masks">Whether some query does not see some key.</param>
    /// <param name="queries">The thread's two queries.</param>
    /// <param name="softmax">Their softmaxes.</param>
    /// <param name="factors">What their sums so far are multiplied with.</param>
    public static AttentionRowWeights Weigh(
        AttentionArguments a, Tile64 products, int tile, bool masks, AttentionRowQueries queries,
        ref AttentionRowSoftmaxes softmax, out AttentionRowFactors factors)
    {
        int key = tile + ((Pinned.Int(Warp.LaneIdx) & 3) * 2);
        if (a.Plain == 0)
        {
            products = new Tile64
            {
                T0 = Transform(a, products.T0, queries, key),
                T1 = Transform(a, products.T1, queries, key + 8),
                T2 = Transform(a, products.T2, queries, key + 16),
                T3 = Transform(a, products.T3, queries, key + 24),
                T4 = Transform(a, products.T4, queries, key + 32),
                T5 = Transform(a, products.T5, queries, key + 40),
                T6 = Transform(a, products.T6, queries, key + 48),
                T7 = Transform(a, products.T7, queries, key + 56),
            };
        }
        if (masks)
        {
            products = new Tile64
            {
                T0 = Mask(products.T0, queries, key),
                T1 = Mask(products.T1, queries, key + 8),
                T2 = Mask(products.T2, queries, key + 16),
                T3 = Mask(products.T3, queries, key + 24),
                T4 = Mask(products.T4, queries, key + 32),
                T5 = Mask(products.T5, queries, key + 40),
                T6 = Mask(products.T6, queries, key + 48),
                T7 = Mask(products.T7, queries, key + 56),
            };
        }
        Float4 largest = Max(
            Max(Max(products.T0, products.T1), Max(products.T2, products.T3)), Max(Max(products.T4, products.T5), Max(products.T6, products.T7)));
        float upper = Float32.Max(softmax.Upper.Max, QuadMax(Float32.Max(largest.A, largest.B)));
        float lower = Float32.Max(softmax.Lower.Max, QuadMax(Float32.Max(largest.C, largest.D)));
        factors.Upper = Float32.Exp2((softmax.Upper.Max - upper) * a.Factor);
        factors.Lower = Float32.Exp2((softmax.Lower.Max - lower) * a.Factor);
        softmax.Upper.Max = upper;
        softmax.Lower.Max = lower;
        upper = -(upper * a.Factor);
        lower = -(lower * a.Factor);
        Tile64 weights = new()
        {
            T0 = Exp(a, products.T0, upper, lower),
            T1 = Exp(a, products.T1, upper, lower),
            T2 = Exp(a, products.T2, upper, lower),
            T3 = Exp(a, products.T3, upper, lower),
            T4 = Exp(a, products.T4, upper, lower),
            T5 = Exp(a, products.T5, upper, lower),
            T6 = Exp(a, products.T6, upper, lower),
            T7 = Exp(a, products.T7, upper, lower),
        };
        softmax.Upper.Even = Add(Float32.Fma(softmax.Upper.Even, factors.Upper, weights.T0.A), weights.T1.A, weights.T2.A, weights.T3.A, weights.T4.A, weights.T5.A, weights.T6.A, weights.T7.A);
        softmax.Upper.Odd = Add(Float32.Fma(softmax.Upper.Odd, factors.Upper, weights.T0.B), weights.T1.B, weights.T2.B, weights.T3.B, weights.T4.B, weights.T5.B, weights.T6.B, weights.T7.B);
        softmax.Lower.Even = Add(Float32.Fma(softmax.Lower.Even, factors.Lower, weights.T0.C), weights.T1.C, weights.T2.C, weights.T3.C, weights.T4.C, weights.T5.C, weights.T6.C, weights.T7.C);
        softmax.Lower.Odd = Add(Float32.Fma(softmax.Lower.Odd, factors.Lower, weights.T0.D), weights.T1.D, weights.T2.D, weights.T3.D, weights.T4.D, weights.T5.D, weights.T6.D, weights.T7.D);
        return new AttentionRowWeights
        {
            A = Operand(weights.T0, weights.T1),
            B = Operand(weights.T2, weights.T3),
            C = Operand(weights.T4, weights.T5),
            D = Operand(weights.T6, weights.T7),
        };
    }

    /// <summary>All weights in one register, in no order.</summary>
    public static uint Any(AttentionRowWeights weights) => Any(weights.A) | Any(weights.B) | Any(weights.C) | Any(weights.D);

    /// <summary>The sum of what the threads of a row hold, the same in all of them.</summary>
    public static float RowSum(AttentionRowSoftmax softmax)
    {
        float sum = softmax.Even + softmax.Odd;
        sum += Warp.ShuffleXor(sum, 1);
        return sum + Warp.ShuffleXor(sum, 2);
    }

    public static Tile64 Scale(Tile64 sums, AttentionRowFactors factors) => new()
    {
        T0 = Scale(sums.T0, factors),
        T1 = Scale(sums.T1, factors),
        T2 = Scale(sums.T2, factors),
        T3 = Scale(sums.T3, factors),
        T4 = Scale(sums.T4, factors),
        T5 = Scale(sums.T5, factors),
        T6 = Scale(sums.T6, factors),
        T7 = Scale(sums.T7, factors),
    };

    /// <summary>totals times <paramref name="old"/> plus sums times <paramref name="factors"/>.</summary>
    public static Tile64 Merge(Tile64 totals, AttentionRowFactors old, Tile64 sums, AttentionRowFactors factors) => new()
    {
        T0 = Merge(totals.T0, old, sums.T0, factors),
        T1 = Merge(totals.T1, old, sums.T1, factors),
        T2 = Merge(totals.T2, old, sums.T2, factors),
        T3 = Merge(totals.T3, old, sums.T3, factors),
        T4 = Merge(totals.T4, old, sums.T4, factors),
        T5 = Merge(totals.T5, old, sums.T5, factors),
        T6 = Merge(totals.T6, old, sums.T6, factors),
        T7 = Merge(totals.T7, old, sums.T7, factors),
    };

    private static uint Any(UInt4 weights) => weights.A | weights.B | weights.C | weights.D;

    private static Float4 Transform(AttentionArguments a, Float4 products, AttentionRowQueries queries, int key) => new()
    {
        A = AttentionScores.Transform(a, products.A, queries.Upper, key),
        B = AttentionScores.Transform(a, products.B, queries.Upper, key + 1),
        C = AttentionScores.Transform(a, products.C, queries.Lower, key),
        D = AttentionScores.Transform(a, products.D, queries.Lower, key + 1),
    };

    private static Float4 Mask(Float4 scores, AttentionRowQueries queries, int key) => new()
    {
        A = AttentionScores.Mask(scores.A, queries.Upper, key),
        B = AttentionScores.Mask(scores.B, queries.Upper, key + 1),
        C = AttentionScores.Mask(scores.C, queries.Lower, key),
        D = AttentionScores.Mask(scores.D, queries.Lower, key + 1),
    };

    private static Float4 Max(Float4 x, Float4 y) => new()
    {
        A = Float32.Max(x.A, y.A),
        B = Float32.Max(x.B, y.B),
        C = Float32.Max(x.C, y.C),
        D = Float32.Max(x.D, y.D),
    };

    private static float QuadMax(float value)
    {
        value = Float32.Max(value, Warp.ShuffleXor(value, 1));
        return Float32.Max(value, Warp.ShuffleXor(value, 2));
    }

    private static Float4 Exp(AttentionArguments a, Float4 scores, float upper, float lower) => new()
    {
        A = Float32.Exp2(Float32.Fma(scores.A, a.Factor, upper)),
        B = Float32.Exp2(Float32.Fma(scores.B, a.Factor, upper)),
        C = Float32.Exp2(Float32.Fma(scores.C, a.Factor, lower)),
        D = Float32.Exp2(Float32.Fma(scores.D, a.Factor, lower)),
    };

    private static float Add(float a, float b, float c, float d, float e, float f, float g, float h) => a + b + c + d + e + f + g + h;

    private static UInt4 Operand(Float4 near, Float4 far) => new()
    {
        A = Halves.Round(near.A, near.B),
        B = Halves.Round(near.C, near.D),
        C = Halves.Round(far.A, far.B),
        D = Halves.Round(far.C, far.D),
    };

    private static Float4 Scale(Float4 sum, AttentionRowFactors factors) =>
        new() { A = sum.A * factors.Upper, B = sum.B * factors.Upper, C = sum.C * factors.Lower, D = sum.D * factors.Lower };

    private static Float4 Merge(Float4 total, AttentionRowFactors old, Float4 sum, AttentionRowFactors factors) => new()
    {
        A = Float32.Fma(total.A, old.Upper, sum.A * factors.Upper),
        B = Float32.Fma(total.B, old.Upper, sum.B * factors.Upper),
        C = Float32.Fma(total.C, old.Lower, sum.C * factors.Lower),
        D = Float32.Fma(total.D, old.Lower, sum.D * factors.Lower),
    };
}
