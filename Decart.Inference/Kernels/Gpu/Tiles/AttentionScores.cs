using Decart.Inference.Kernels.Gpu.Intrinsics;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>A query of attention: which keys it sees, Keys of them from First on, and its head's slope.</summary>
internal struct AttentionQuery
{
    public int Position, First, Keys;
    public float Slope;

    /// <summary>The query of a head of a row, or, not used, one that sees no key.</summary>
    public static AttentionQuery Load(AttentionArguments a, int position, int head, bool used)
    {
        AttentionQuery query = new() { Position = position, First = a.Window != 0 ? position - a.Window + 1 : 0 };
        query.Keys = used ? position - query.First + 1 : 0;
        if (used && a.Slopes != 0) query.Slope = Global.LoadFloat(a.Slopes + (head * sizeof(float)));
        return query;
    }
}

/// <summary>The running softmax of a query over a split: the largest score, and the calling thread's part of the sum of weights.</summary>
internal struct AttentionSoftmax
{
    public float Max, Sum;

    /// <summary>Before the first key.</summary>
    public static AttentionSoftmax None => new() { Max = AttentionScores.NoMaximum };
}

/// <summary>
/// From products to weights, the same operations for every kernel: weight = 2^(score factor - maximum factor), where score is the product of query and
/// key itself, or, where something is done with it first, what comes of that in units of log 2.
/// </summary>
internal static class AttentionScores
{
    /// <summary>In place of minus infinity, so that the difference of two is a number.</summary>
    public const float NoMaximum = -1e30f;

    /// <summary>Keys of a tile: what maxima and sums are brought up to date for at once.</summary>
    public const int TileKeys = 64;

    /// <summary>Whether scores are products, multiplied with a positive number.</summary>
    public static bool ArePlain(AttentionShape shape) => shape.SoftCap == 0 && shape.AlibiSlopes is null && shape.Scale > 0;

    /// <summary>What is done with a product where scores are not plain.</summary>
    public static float Transform(AttentionArguments a, float product, AttentionQuery query, int key)
    {
        float score = product * a.Scale;
        if (a.SoftCap != 0) score = GpuMath.SoftCap(score, a.SoftCap);
        return Float32.Fma(query.Slope, key - query.Position, score) * GpuMath.Log2E;
    }

    public static float Mask(float score, AttentionQuery query, int key) =>
        (uint)(key - query.First) < (uint)query.Keys ? score : float.NegativeInfinity;
}
