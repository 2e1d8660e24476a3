using Decart.Inference.Kernels.Gpu.Intrinsics;
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
