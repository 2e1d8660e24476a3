using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// One row of logits as the kernel that chooses tokens sees it. A token's rank is a number that is the smaller the larger its logit is; of equal ranks the
/// smaller id comes first. Its weight is its probability relative to the most probable token's, its mass the same as an integer.
/// </summary>
internal struct GpuLogits
{
    /// <summary>Logits that are read at once.</summary>
    public const int Vector = 4;

    /// <summary>The ranks of what is no number, of infinities, and of what is no token; those of all logits are between.</summary>
    public const uint NaNRank = 0, InfinityRank = 0x007FFFFF, NegativeInfinityRank = 0xFF800000, NoRank = uint.MaxValue;

    /// <summary>Bits of an id. Larger vocabularies would need more digits in <see cref="GpuSampling"/>, and masses of fewer bits.</summary>
    public const int TokenBits = 22, MaxVocabulary = 1 << TokenBits;

    /// <summary>The mass of the most probable token. Tokens of less than 2^-40 of its probability have none.</summary>
    private const float One = 1L << 40;

    /// <summary>Address of the first.</summary>
    public long Address;

    public int Count;

    /// <summary>The largest.</summary>
    public float Max;

    /// <summary>A weight is 2^((logit - max) * scale).</summary>
    public float Scale;

    /// <summary>The last token that is kept.</summary>
    public uint LastRank;

    public int LastToken;

    /// <summary>The smallest weight that is kept.</summary>
    public float MinWeight;

    public static float ScaleOf(float temperature)
    {
        float scale = GpuMath.Log2E / temperature;
        return scale < float.MaxValue ? scale : float.MaxValue;
    }

    /// <summary>The ranks of tokens <paramref name="first"/>, a multiple of 4, to first + 3; of numbers only.</summary>
    public static UInt4 Ranks(GpuLogits row, int first)
    {
        Float4 logits = Global.LoadFloat4(row.Address + ((long)first * sizeof(float)));
        UInt4 ranks = new() { A = Rank(logits.A), B = Rank(logits.B), C = Rank(logits.C), D = Rank(logits.D) };
        if (first + Vector <= row.Count) return ranks;
        return new UInt4
        {
            A = ranks.A,
            B = first + 1 < row.Count ? ranks.B : NoRank,
            C = first + 2 < row.Count ? ranks.C : NoRank,
            D = NoRank,
        };
    }

    public static float Load(GpuLogits row, int token) => Global.LoadFloat(row.Address + ((long)token * sizeof(float)));

    /// <summary>The rank of a number. Zeros of both signs have the same.</summary>
    public static uint Rank(float logit)
    {
        uint bits = Interop.FloatAsInt(Float32.Fma(logit, 1, 0)); // -0 + 0 = 0
        return (bits & 0x80000000) != 0 ? bits : bits ^ 0x7FFFFFFF;
    }

    /// <summary>The logit of a rank.</summary>
    public static float Logit(uint rank) => Interop.IntAsFloat((rank & 0x80000000) != 0 ? rank : rank ^ 0x7FFFFFFF);

    public static float Weight(GpuLogits row, uint rank) => Float32.Exp2((Logit(rank) - row.Max) * row.Scale);

    /// <summary>0 for what is no token and for those that are not kept.</summary>
    public static long Mass(GpuLogits row, uint rank, int token)
    {
        if (rank > row.LastRank || (rank == row.LastRank && token > row.LastToken)) return 0;
        float weight = Weight(row, rank);
        return weight < row.MinWeight ? 0 : (long)(weight * One);
    }
}
