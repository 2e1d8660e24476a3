using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Sampling;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct SamplingArguments
{
    /// <summary>Float32; rows with penalties, bias or mask are changed in place.</summary>
    public long Logits;

    /// <summary>An array of <see cref="GpuSamplingRow"/>, one for each group.</summary>
    public long Rows;

    /// <summary>For each row of the logits its token (int), or a code of <see cref="NoToken"/>.</summary>
    public long Tokens;

    public int Stride, Vocabulary;
}

/// <summary>
/// Chooses tokens as <see cref="Sampler"/> does: one group a row. Nothing is sorted. Most distributions are peaked, and what top-k, top-p and min-p leave is
/// among a few hundred tokens, which are put in shared memory (<see cref="GpuCandidates"/>); otherwise the last token that they keep is found over the whole
/// row (<see cref="GpuSelection"/>). Both ways give the same token: probabilities are added up as integers, so that a token depends on neither the size of
/// the group nor the order in which its threads run.
/// </summary>
internal static class GpuSampling
{
    public static readonly GpuKernel<SamplingArguments> Kernel = new(Run, groupSize: 1024);

    private static void Run(SamplingArguments a)
    {
        GpuSamplingRow row = GpuSamplingRow.Load(a.Rows, Grid.IdxX);
        GpuLogits logits = new()
        {
            Address = a.Logits + ((long)row.LogitRow * a.Stride * sizeof(float)),
            Count = a.Vocabulary,
            Scale = GpuLogits.ScaleOf(row.Numbers.Temperature),
            LastRank = GpuLogits.NegativeInfinityRank,
            LastToken = int.MaxValue,
        };
        int token = Choose(logits, row);
        if (Group.IdxX != 0) return;
        Global.StoreInt(a.Tokens + ((long)row.LogitRow * sizeof(int)), token);
        if (row.Counts == 0 || token < 0) return;
        long count = row.Counts + ((long)token * sizeof(int));
        int before = Global.LoadInt(count);
        Global.StoreInt(count, before == 0 ? 2 : before + 1);
    }

    private static int Choose(GpuLogits logits, GpuSamplingRow row)
    {
        bool changes = row.Counts != 0 || row.Mask != 0 || row.BiasCount != 0;
        uint ownRank = 0, rank = 0;
        int token = 0;
        for (int round = 0; round < (changes ? 2 : 1); round++)
        {
            if (round == 1) GpuLogitChanges.Apply(logits, row);
            ownRank = FindBest(logits, ref rank, ref token);
            int code = Problem(rank);
            if (code < 0) return round == 0 ? code : code + NoToken.AfterChanges;
        }
        if (row.Numbers.Temperature == 0) return token;

        logits.Max = GpuLogits.Logit(rank);
        ulong random = Philox.NextBits(row.Numbers.Seed, (ulong)row.Index);
        if (row.Numbers.TopK != 0 || row.TopPShare != 0 || row.Numbers.MinP != 0)
        {
            token = GpuCandidates.Choose(logits, row, ownRank, random);
            if (token >= 0) return token;
        }
        return GpuSelection.Choose(logits, row, random);
    }

    /// <summary>The first token and its rank; returns the best rank among the logits that this thread has read.</summary>
    private static uint FindBest(GpuLogits logits, ref uint rank, ref int token)
    {
        uint ownRank = GpuLogits.NoRank;
        int ownToken = 0;
        for (int i = Group.IdxX * GpuLogits.Vector; i < logits.Count; i += Group.DimX * GpuLogits.Vector)
        {
            Float4 values = Global.LoadFloat4(logits.Address + ((long)i * sizeof(float)));
            TakeBetter(logits, values.A, i, ref ownRank, ref ownToken);
            TakeBetter(logits, values.B, i + 1, ref ownRank, ref ownToken);
            TakeBetter(logits, values.C, i + 2, ref ownRank, ref ownToken);
            TakeBetter(logits, values.D, i + 3, ref ownRank, ref ownToken);
        }
        ulong best = Reduce.GroupMin(((ulong)ownRank << GpuLogits.TokenBits) | (uint)ownToken);
        rank = (uint)(best >> GpuLogits.TokenBits);
        token = (int)best & (GpuLogits.MaxVocabulary - 1);
        return ownRank;
    }

    private static void TakeBetter(GpuLogits logits, float value, int token, ref uint rank, ref int best)
    {
        uint own = float.IsNaN(value) ? GpuLogits.NaNRank : GpuLogits.Rank(value);
        if (own >= rank || token >= logits.Count) return;
        rank = own;
        best = token;
    }

    /// <summary>A code of <see cref="NoToken"/> when the largest logit is not a finite number, otherwise 0.</summary>
    private static int Problem(uint rank) => rank == GpuLogits.NaNRank ? NoToken.NaN
        : rank == GpuLogits.InfinityRank ? NoToken.Infinity
        : rank == GpuLogits.NegativeInfinityRank ? NoToken.NegativeInfinity
        : 0;
}
