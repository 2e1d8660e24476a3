using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Chooses a token from a whole row, however many tokens stay: the last one that top-k or top-p keeps is found digit by digit, the digits of the ranks, then
/// those of the ids of tokens of one rank, counted or weighed in a histogram.
/// </summary>
internal static class GpuSelection
{
    private const int DigitBits = 11, RankLevels = 3, Levels = RankLevels + (GpuLogits.TokenBits / DigitBits);

    /// <summary>The fewest tokens of the splits in which the drawn one is sought first.</summary>
    private const int MinSplit = 256;

    /// <summary>The whole group calls and receives the token.</summary>
    public static int Choose(GpuLogits logits, GpuSamplingRow row, ulong random)
    {
        GpuHistogram histogram = GpuHistogram.Allocate();
        for (int cut = 0; cut < 2; cut++)
        {
            bool weighs = cut == 1;
            if (weighs ? row.TopPShare == 0 : row.Numbers.TopK == 0) continue;
            Cut(ref logits, histogram, weighs ? 0 : row.Numbers.TopK, row.TopPShare);
        }
        logits.MinWeight = row.Numbers.MinP;
        return Draw(logits, histogram, random);
    }

    /// <summary>total * share / 2^64, rounded up, at least 1.</summary>
    public static long Share(long total, ulong share)
    {
        ulong floor = Integers.MultiplyHigh((ulong)total, share);
        return (long)(floor > 0 && (ulong)total * share == 0 ? floor : floor + 1);
    }

    /// <summary>The mass up to the drawn token is at least this: more than total * random / 2^64.</summary>
    public static long Drawn(long total, ulong random) => (long)Integers.MultiplyHigh(random, (ulong)total) + 1;

    /// <summary>
    /// Keeps of the tokens only the first: <paramref name="count"/> of them, or, when that is 0, as few as have <paramref name="share"/> / 2^64 of the
    /// mass.
    /// </summary>
    private static void Cut(ref GpuLogits logits, GpuHistogram histogram, int count, ulong share)
    {
        bool weighs = count == 0;
        uint rank = 0, token = 0;
        long needed = count;
        for (int level = 0; level < Levels; level++)
        {
            bool ofToken = level >= RankLevels;
            // 32 bits are two digits and one of a bit less.
            int shift = level == 0 ? 21 : level == 1 ? 10 : level == RankLevels ? DigitBits : 0;
            int bits = level == RankLevels - 1 ? DigitBits - 1 : DigitBits;
            GpuHistogram.Clear(histogram);
            Group.Barrier();
            if (ofToken) CountTokens(logits, histogram, weighs, rank, token, shift);
            else CountRanks(logits, histogram, weighs, rank, shift, bits);
            Group.Barrier();
            GpuShare bins = GpuHistogram.Scan(histogram);
            if (weighs && level == 0) needed = Share(bins.Total, share);
            GpuCrossing crossing = GpuHistogram.Find(histogram, bins, needed);
            needed = crossing.Needed;
            if (ofToken)
            {
                token = (token << DigitBits) | (uint)crossing.Bin;
                continue;
            }
            rank = (rank << bits) | (uint)crossing.Bin;
            // All tokens of the bin stay when as much is needed as it has, or, if they are of one rank, more than it would have without the last.
            long last = level == RankLevels - 1 ? weighs ? GpuLogits.Mass(logits, rank, token: 0) : 1 : 0;
            if (needed < crossing.Content && needed <= crossing.Content - last) continue;
            uint lastRank = ((rank + 1) << shift) - 1;
            if (lastRank >= logits.LastRank) return;
            logits.LastRank = lastRank;
            logits.LastToken = int.MaxValue;
            return;
        }
        logits.LastRank = rank;
        logits.LastToken = (int)token;
    }

    /// <summary>Counts or weighs the tokens whose rank begins with <paramref name="prefix"/> by its next digit.</summary>
    private static void CountRanks(GpuLogits logits, GpuHistogram histogram, bool weighs, uint prefix, int shift, int bits)
    {
        // Those that a thread reads one after the other often have the same digit: they are added up before they are added to the bin.
        int bin = 0;
        long sum = 0;
        for (int i = Group.IdxX * GpuLogits.Vector; i < logits.Count; i += Group.DimX * GpuLogits.Vector)
        {
            UInt4 ranks = GpuLogits.Ranks(logits, i);
            for (int j = 0; j < GpuLogits.Vector; j++)
            {
                uint rank = Element(ranks, j), digits = rank >> shift;
                if (digits >> bits != prefix || rank == GpuLogits.NoRank) continue;
                long value = weighs ? GpuLogits.Mass(logits, rank, i + j) : 1;
                int next = (int)(digits & ((1u << bits) - 1));
                if (next != bin) GpuHistogram.Add(histogram, bin, sum);
                sum = next != bin ? value : sum + value;
                bin = next;
            }
        }
        GpuHistogram.Add(histogram, bin, sum);
    }

    /// <summary>Counts or weighs the tokens of one rank whose ids begin with <paramref name="prefix"/> by the next digit of the id.</summary>
    private static void CountTokens(GpuLogits logits, GpuHistogram histogram, bool weighs, uint rank, uint prefix, int shift)
    {
        for (int i = Group.IdxX * GpuLogits.Vector; i < logits.Count; i += Group.DimX * GpuLogits.Vector)
        {
            UInt4 ranks = GpuLogits.Ranks(logits, i);
            for (int j = 0; j < GpuLogits.Vector; j++)
            {
                uint digits = (uint)(i + j) >> shift;
                if (Element(ranks, j) != rank || digits >> DigitBits != prefix) continue;
                GpuHistogram.Add(histogram, (int)digits & (GpuHistogram.Bins - 1), weighs ? GpuLogits.Mass(logits, rank, i + j) : 1);
            }
        }
    }

    private static uint Element(UInt4 vector, int index) => index == 0 ? vector.A : index == 1 ? vector.B : index == 2 ? vector.C : vector.D;

    /// <summary>The token at which the mass, added up in the order of ids, reaches what is drawn: its split first.</summary>
    private static int Draw(GpuLogits logits, GpuHistogram histogram, ulong random)
    {
        int split = ((logits.Count + (GpuHistogram.Bins * MinSplit) - 1) / (GpuHistogram.Bins * MinSplit)) * MinSplit;
        GpuHistogram.Clear(histogram);
        Group.Barrier();
        for (int s = Group.IdxX / Warp.WarpSize; s * split < logits.Count; s += Group.DimX / Warp.WarpSize)
        {
            int end = IntrinsicMath.Min((s + 1) * split, logits.Count);
            long sum = 0;
            for (int i = (s * split) + (Warp.LaneIdx * GpuLogits.Vector); i < end; i += Warp.WarpSize * GpuLogits.Vector)
            {
                UInt4 ranks = GpuLogits.Ranks(logits, i);
                sum += GpuLogits.Mass(logits, ranks.A, i) + GpuLogits.Mass(logits, ranks.B, i + 1);
                sum += GpuLogits.Mass(logits, ranks.C, i + 2) + GpuLogits.Mass(logits, ranks.D, i + 3);
            }
            sum = Reduce.WarpSum(sum);
            if (Warp.LaneIdx == 0) GpuHistogram.Set(histogram, s, sum);
        }
        Group.Barrier();
        GpuShare bins = GpuHistogram.Scan(histogram);
        GpuCrossing crossing = GpuHistogram.Find(histogram, bins, Drawn(bins.Total, random));

        int first = crossing.Bin * split;
        GpuHistogram.Clear(histogram);
        Group.Barrier();
        for (int i = Group.IdxX; i < IntrinsicMath.Min(split, logits.Count - first); i += Group.DimX)
            GpuHistogram.Set(histogram, i, GpuLogits.Mass(logits, GpuLogits.Rank(GpuLogits.Load(logits, first + i)), first + i));
        Group.Barrier();
        return first + GpuHistogram.Find(histogram, GpuHistogram.Scan(histogram), crossing.Needed).Bin;
    }
}
