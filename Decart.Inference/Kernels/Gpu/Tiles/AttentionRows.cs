using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>Weights of a warp group's 64 queries as left operands of products over 16 keys: of 64 keys.</summary>
internal struct AttentionRowWeights
{
    public UInt4 A, B, C, D;
}

/// <summary>A warp group's 64 queries as left operands of products over 16 dimensions: up to 128 of them.</summary>
internal struct AttentionRowOperands
{
    public AttentionRowWeights Left, Right;
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

    /// <summary>Before the first key.</summary>
    public static AttentionRowSoftmaxes None => new() { Upper = AttentionRowSoftmax.None, Lower = AttentionRowSoftmax.None };
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
    /// <summary>What becomes of products that are not plain, or of keys that some query does not see.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="products">Of 64 keys.</param>
    /// <param name="tile">The first of them.</param>
    /// <param name="unit">The unit that the queries belong to.</param>
    /// <param name="warpGroup">Which of its warp groups.</param>
    public static Tile64 Score(AttentionArguments a, Tile64 products, int tile, PromptUnit unit, int warpGroup)
    {
        int key = tile + ((Pinned.Int(Warp.LaneIdx) & 3) * 2);
        AttentionRowQueries queries = new()
        {
            Upper = PromptUnit.Sight(a, unit, warpGroup, FirstQuery()),
            Lower = PromptUnit.Sight(a, unit, warpGroup, FirstQuery() + 8),
        };
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
        return new Tile64
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

    /// <summary>Whether some score of the warp exceeds the largest of its row before, which <see cref="Raise"/> then changes: 0 or 1.</summary>
    public static int Exceeds(Tile64 scores, AttentionRowSoftmaxes softmax)
    {
        Float4 largest = Largest(scores);
        float upper = Float32.Max(largest.A, largest.B) - softmax.Upper.Max, lower = Float32.Max(largest.C, largest.D) - softmax.Lower.Max;
        return Vote.Any(Float32.Max(upper, lower) > 0 ? 1 : 0);
    }

    /// <summary>Brings maxima up to date for a tile of scores; returns what sums so far are multiplied with, which is 1 where <see cref="Exceeds"/> is 0.</summary>
    public static AttentionRowFactors Raise(AttentionArguments a, Tile64 scores, ref AttentionRowSoftmaxes softmax)
    {
        Float4 largest = Largest(scores);
        return new AttentionRowFactors
        {
            Upper = RaiseRow(a, QuadMax(Float32.Max(largest.A, largest.B)), ref softmax.Upper),
            Lower = RaiseRow(a, QuadMax(Float32.Max(largest.C, largest.D)), ref softmax.Lower),
        };
    }

    /// <summary>Turns the scores of a tile into weights, and adds them in ascending order.</summary>
    public static AttentionRowWeights Weigh(AttentionArguments a, Tile64 scores, ref AttentionRowSoftmaxes softmax)
    {
        float upper = -(softmax.Upper.Max * a.Factor), lower = -(softmax.Lower.Max * a.Factor);
        Tile64 weights = new()
        {
            T0 = Exp(a, scores.T0, upper, lower),
            T1 = Exp(a, scores.T1, upper, lower),
            T2 = Exp(a, scores.T2, upper, lower),
            T3 = Exp(a, scores.T3, upper, lower),
            T4 = Exp(a, scores.T4, upper, lower),
            T5 = Exp(a, scores.T5, upper, lower),
            T6 = Exp(a, scores.T6, upper, lower),
            T7 = Exp(a, scores.T7, upper, lower),
        };
        softmax.Upper.Even = Add(softmax.Upper.Even + weights.T0.A, weights.T1.A, weights.T2.A, weights.T3.A, weights.T4.A, weights.T5.A, weights.T6.A, weights.T7.A);
        softmax.Upper.Odd = Add(softmax.Upper.Odd + weights.T0.B, weights.T1.B, weights.T2.B, weights.T3.B, weights.T4.B, weights.T5.B, weights.T6.B, weights.T7.B);
        softmax.Lower.Even = Add(softmax.Lower.Even + weights.T0.C, weights.T1.C, weights.T2.C, weights.T3.C, weights.T4.C, weights.T5.C, weights.T6.C, weights.T7.C);
        softmax.Lower.Odd = Add(softmax.Lower.Odd + weights.T0.D, weights.T1.D, weights.T2.D, weights.T3.D, weights.T4.D, weights.T5.D, weights.T6.D, weights.T7.D);
        return new AttentionRowWeights
        {
            A = Operand(weights.T0, weights.T1),
            B = Operand(weights.T2, weights.T3),
            C = Operand(weights.T4, weights.T5),
            D = Operand(weights.T6, weights.T7),
        };
    }

    /// <summary>Which of the warp group's queries is number g of its warp.</summary>
    public static int FirstQuery() => (((Pinned.Int(Group.IdxX) >> 5) & 3) * 16) + (Warp.LaneIdx >> 2);

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

    /// <summary>totals plus sums times <paramref name="factors"/>.</summary>
    public static Tile64 Add(Tile64 totals, Tile64 sums, AttentionRowFactors factors) => new()
    {
        T0 = Add(totals.T0, sums.T0, factors),
        T1 = Add(totals.T1, sums.T1, factors),
        T2 = Add(totals.T2, sums.T2, factors),
        T3 = Add(totals.T3, sums.T3, factors),
        T4 = Add(totals.T4, sums.T4, factors),
        T5 = Add(totals.T5, sums.T5, factors),
        T6 = Add(totals.T6, sums.T6, factors),
        T7 = Add(totals.T7, sums.T7, factors),
    };

    private static float RaiseRow(AttentionArguments a, float largest, ref AttentionRowSoftmax softmax)
    {
        float max = Float32.Max(softmax.Max, largest), factor = Float32.Exp2((softmax.Max - max) * a.Factor);
        softmax = new AttentionRowSoftmax { Max = max, Even = softmax.Even * factor, Odd = softmax.Odd * factor };
        return factor;
    }

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

    private static Float4 Largest(Tile64 scores) => Max(
        Max(Max(scores.T0, scores.T1), Max(scores.T2, scores.T3)), Max(Max(scores.T4, scores.T5), Max(scores.T6, scores.T7)));

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

    private static Float4 Add(Float4 total, Float4 sum, AttentionRowFactors factors) => new()
    {
        A = Float32.Fma(sum.A, factors.Upper, total.A),
        B = Float32.Fma(sum.B, factors.Upper, total.B),
        C = Float32.Fma(sum.C, factors.Lower, total.C),
        D = Float32.Fma(sum.D, factors.Lower, total.D),
    };
}
