using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// What a warp does with 16 queries and 16 keys on tensor cores (sm_80), in registers only. With g = lane / 4 and t = lane % 4: S = Q K^T has queries g
/// and g + 8 and, by the order in which keys are loaded, keys 4t .. 4t + 3 in a lane; those are the columns of P that the lane holds as the left
/// operand of O = P V, whose right operand it makes of 16 bytes of each of the four values, its dimensions 8g .. 8g + 7 of 64. So a lane ends with
/// dimensions 16t .. 16t + 15 of 64 of its queries.
/// </summary>
internal static class GpuAttentionTile
{
    public const int StepKeys = 16, GroupDims = 64;

    /// <summary>In place of minus infinity, so that the difference of two is a number.</summary>
    public const float NoMaximum = -1e30f;

    /// <summary>A lane's part of 64 dimensions: of query g (A, B) and g + 8 (C, D) dimensions 16t + j and 16t + 8 + j in the j-th field.</summary>
    public struct Sums
    {
        public Float4 A, B, C, D, E, F, G, H;
    }

    public struct Outputs
    {
        public Sums A, B, C, D;
    }

    /// <summary>Dimensions 8t .. 8t + 7 of 32 of query g and of query g + 8.</summary>
    public struct Fragment
    {
        public UInt4 Upper, Lower;
    }

    public struct Query
    {
        public Fragment A, B, C, D, E, F, G, H;
    }

    /// <summary>The lane's eight dimensions of the values of its four keys.</summary>
    public struct Values
    {
        public UInt4 A, B, C, D;
    }

    public struct ValueAddresses
    {
        public long A, B, C, D;
    }

    /// <summary>A query of a lane and the state of its softmax.</summary>
    public struct Softmax
    {
        public int Row, Head, Position, First;
        public float Slope, Max, Sum;
    }

    /// <summary>
    /// 16 keys and their values. Keys past the end repeat the last one, dimensions past the head's end its last ones; neither counts.
    /// </summary>
    public static void Step(
        AttentionArguments a, GpuRow row, int key, int end, long keys, long scales, Query query, ref Softmax upper, ref Softmax lower, ref Outputs outputs, int groups, bool codes)
    {
        int g = Warp.LaneIdx / 4, t = Warp.LaneIdx % 4, own = key + (g / 2 * 4) + (g % 2);
        long values = keys + GpuKv.ValueBytes(a, codes);
        ValueAddresses rows = AddressesOf(row, key + (4 * t), end, values);
        UInt4 valueScales = default;
        if (codes) valueScales = LoadScales(rows, scales + KvCodes.ScaleBytes - values);
        Values first = default, second = default;
        if (groups <= 2)
        {
            // There are registers enough to have the values on their way meanwhile.
            first = LoadValues(a, rows, 8 * g, valueScales, codes);
            if (groups > 1) second = LoadValues(a, rows, GroupDims + (8 * g), valueScales, codes);
        }
        Float4 near = Scores(a, KeyAddress(row, own, end), keys, scales, query, groups, codes), far = Scores(a, KeyAddress(row, own + 2, end), keys, scales, query, groups, codes);
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
            first = LoadValues(a, rows, 8 * g, valueScales, codes);
            second = LoadValues(a, rows, GroupDims + (8 * g), valueScales, codes);
        }
        outputs.A = AddValues(outputs.A, weights, upperFactor, lowerFactor, first);
        if (groups > 1) outputs.B = AddValues(outputs.B, weights, upperFactor, lowerFactor, second);
        if (groups > 2) outputs.C = AddValues(outputs.C, weights, upperFactor, lowerFactor, LoadValues(a, rows, (2 * GroupDims) + (8 * g), valueScales, codes));
        if (groups > 2) outputs.D = AddValues(outputs.D, weights, upperFactor, lowerFactor, LoadValues(a, rows, (3 * GroupDims) + (8 * g), valueScales, codes));
    }

    private static ValueAddresses AddressesOf(GpuRow row, int key, int end, long offset) => new()
    {
        A = KeyAddress(row, key, end) + offset,
        B = KeyAddress(row, key + 1, end) + offset,
        C = KeyAddress(row, key + 2, end) + offset,
        D = KeyAddress(row, key + 3, end) + offset,
    };

    private static UInt4 LoadScales(ValueAddresses rows, long offset) => new()
    {
        A = GpuKv.LoadScale(rows.A + offset),
        B = GpuKv.LoadScale(rows.B + offset),
        C = GpuKv.LoadScale(rows.C + offset),
        D = GpuKv.LoadScale(rows.D + offset),
    };

    private static Values LoadValues(AttentionArguments a, ValueAddresses rows, int dim, UInt4 scales, bool codes) => new()
    {
        A = LoadEight(a, rows.A, dim, scales.A, codes),
        B = LoadEight(a, rows.B, dim, scales.B, codes),
        C = LoadEight(a, rows.C, dim, scales.C, codes),
        D = LoadEight(a, rows.D, dim, scales.D, codes),
    };

    /// <summary>Eight elements of a head.</summary>
    private static UInt4 LoadEight(AttentionArguments a, long head, int dim, uint scale, bool codes)
    {
        dim = dim < a.HeadDim ? dim : a.HeadDim - 8;
        return codes ? GpuKv.LoadEight(head, dim, scale) : Global.Load16(head + (dim * sizeof(ushort)));
    }

    private static Float4 SoftCap(Float4 products, float scale, float cap) => new()
    {
        A = GpuMath.SoftCap(products.A * scale, cap),
        B = GpuMath.SoftCap(products.B * scale, cap),
        C = GpuMath.SoftCap(products.C * scale, cap),
        D = GpuMath.SoftCap(products.D * scale, cap),
    };

    private static long KeyAddress(GpuRow row, int key, int end) => GpuRow.TokenAddress(row, key < end ? key : end - 1);

    private static Float4 Scores(AttentionArguments a, long token, long keys, long scales, Query query, int groups, bool codes)
    {
        uint scale = 0;
        if (codes) scale = GpuKv.LoadScale(token + scales);
        long key = token + keys;
        int dim = Warp.LaneIdx % 4 * 8;
        Float4 scores = default;
        scores = Multiply(scores, query.A, LoadEight(a, key, dim, scale, codes));
        scores = Multiply(scores, query.B, LoadEight(a, key, dim + 32, scale, codes));
        if (groups > 1) scores = Multiply(scores, query.C, LoadEight(a, key, dim + 64, scale, codes));
        if (groups > 1) scores = Multiply(scores, query.D, LoadEight(a, key, dim + 96, scale, codes));
        if (groups > 2) scores = Multiply(scores, query.E, LoadEight(a, key, dim + 128, scale, codes));
        if (groups > 2) scores = Multiply(scores, query.F, LoadEight(a, key, dim + 160, scale, codes));
        if (groups > 2) scores = Multiply(scores, query.G, LoadEight(a, key, dim + 192, scale, codes));
        if (groups > 2) scores = Multiply(scores, query.H, LoadEight(a, key, dim + 224, scale, codes));
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

    public static float Max(float a, float b) => a > b ? a : b;

    private static float QuadMax(float value)
    {
        value = Max(value, Warp.ShuffleXor(value, 1));
        return Max(value, Warp.ShuffleXor(value, 2));
    }

    public static float QuadSum(float value)
    {
        value += Warp.ShuffleXor(value, 1);
        return value + Warp.ShuffleXor(value, 2);
    }
}
