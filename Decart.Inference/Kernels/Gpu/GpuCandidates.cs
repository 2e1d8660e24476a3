using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Chooses a token when all that stay are among the most probable few hundred: these are put in shared memory, in any order, and each is compared with all
/// others there.
/// </summary>
internal static class GpuCandidates
{
    private const int Capacity = 512;

    /// <summary>Threads whose best logits make one sample.</summary>
    private const int ThreadsPerSample = 4;

    /// <summary>The whole group calls and receives the token, or -1 when more tokens than those may stay.</summary>
    /// <param name="logits">The row.</param>
    /// <param name="row">At least one of top-k, top-p and min-p.</param>
    /// <param name="ownRank">The best rank among some of the tokens, other ones for each thread.</param>
    /// <param name="random">See <see cref="GpuSelection.Drawn"/>.</param>
    public static int Choose(GpuLogits logits, GpuSamplingRow row, uint ownRank, ulong random)
    {
        ArrayView<uint> ranks = SharedMemory.Allocate1D<uint>(Capacity).BaseView;
        ArrayView<int> tokens = SharedMemory.Allocate1D<int>(Capacity).BaseView, count = SharedMemory.Allocate1D<int>(1).BaseView;
        ArrayView<long> masses = SharedMemory.Allocate1D<long>(Capacity).BaseView, before = SharedMemory.Allocate1D<long>(Capacity).BaseView;
        if (Group.IdxX == 0) count[0] = 0;
        uint last = FindLast(ownRank, ranks);
        long all = Collect(logits, last, weighs: row.Numbers.TopK == 0 && row.TopPShare != 0, ranks, tokens, count);
        int number = count[0];
        if (number > Capacity || row.Numbers.TopK > number) return -1;
        for (int i = Group.IdxX; i < number; i += Group.DimX) masses[i] = GpuLogits.Mass(logits, ranks[i], tokens[i]);
        Group.Barrier();

        long sum = Precede(row.Numbers.TopK, number, ranks, tokens, masses, before);
        long wanted = row.TopPShare == 0 ? long.MaxValue : GpuSelection.Share(row.Numbers.TopK == 0 ? all : sum, row.TopPShare);
        // Weights follow ranks but for rounding.
        bool endsHere = row.Numbers.TopK != 0 || (row.TopPShare != 0 && sum >= wanted) || GpuLogits.Weight(logits, last) * 1.0001f < row.Numbers.MinP;
        if (!endsHere) return -1;
        sum = 0;
        for (int i = Group.IdxX; i < number; i += Group.DimX)
        {
            if (before[i] >= wanted || GpuLogits.Weight(logits, ranks[i]) < row.Numbers.MinP) masses[i] = 0;
            sum += masses[i];
        }
        Reduce.GroupScan(sum, out sum);
        return Draw(number, tokens, masses, GpuSelection.Drawn(sum, random), count);
    }

    /// <summary>
    /// A rank that some hundred tokens do not exceed, unless the large logits lie in a pattern: three quarters of the samples' best ranks are at most that.
    /// </summary>
    private static uint FindLast(uint ownRank, ArrayView<uint> samples)
    {
        ArrayView<uint> last = SharedMemory.Allocate1D<uint>(1).BaseView;
        for (int distance = 1; distance < ThreadsPerSample; distance *= 2)
        {
            uint other = Warp.ShuffleXor(ownRank, distance);
            ownRank = other < ownRank ? other : ownRank;
        }
        int number = Group.DimX / ThreadsPerSample;
        if (Group.IdxX % ThreadsPerSample == 0) samples[Group.IdxX / ThreadsPerSample] = ownRank;
        Group.Barrier();
        if (Group.IdxX < number)
        {
            uint own = samples[Group.IdxX];
            int better = 0;
            for (int i = 0; i < number; i++) better += samples[i] < own || (samples[i] == own && i < Group.IdxX) ? 1 : 0;
            // Samples of no token count as any token.
            if (better == ((number * 3) - 1) / 4) last[0] = own < GpuLogits.NegativeInfinityRank ? own : GpuLogits.NegativeInfinityRank;
        }
        Group.Barrier();
        return last[0];
    }

    /// <summary>Lists the tokens up to a rank, as far as there is room, and counts them; returns the mass of all tokens if it is wanted.</summary>
    private static long Collect(GpuLogits logits, uint last, bool weighs, ArrayView<uint> ranks, ArrayView<int> tokens, ArrayView<int> count)
    {
        long mass = 0;
        for (int i = Group.IdxX * GpuLogits.Vector; i < logits.Count; i += Group.DimX * GpuLogits.Vector)
        {
            Intrinsics.UInt4 four = GpuLogits.Ranks(logits, i);
            if (weighs)
            {
                mass += GpuLogits.Mass(logits, four.A, i) + GpuLogits.Mass(logits, four.B, i + 1);
                mass += GpuLogits.Mass(logits, four.C, i + 2) + GpuLogits.Mass(logits, four.D, i + 3);
            }
            if (four.A <= last) List(four.A, i, ranks, tokens, count);
            if (four.B <= last) List(four.B, i + 1, ranks, tokens, count);
            if (four.C <= last) List(four.C, i + 2, ranks, tokens, count);
            if (four.D <= last) List(four.D, i + 3, ranks, tokens, count);
        }
        // Its barriers are also for what has been listed.
        Reduce.GroupScan(mass, out mass);
        return mass;
    }

    private static void List(uint rank, int token, ArrayView<uint> ranks, ArrayView<int> tokens, ArrayView<int> count)
    {
        int place = Atomic.Add(ref count[0], 1);
        if (place >= Capacity) return;
        ranks[place] = rank;
        tokens[place] = token;
    }

    /// <summary>
    /// For each candidate the mass of those before it, beyond any number for those that top-k leaves out; returns the mass of the others together.
    /// </summary>
    private static long Precede(int topK, int number, ArrayView<uint> ranks, ArrayView<int> tokens, ArrayView<long> masses, ArrayView<long> before)
    {
        long sum = 0;
        for (int i = Group.IdxX; i < number; i += Group.DimX)
        {
            uint rank = ranks[i];
            int token = tokens[i], better = 0;
            long mass = 0;
            for (int j = 0; j < number; j++)
            {
                bool precedes = ranks[j] < rank || (ranks[j] == rank && tokens[j] < token);
                better += precedes ? 1 : 0;
                mass += precedes ? masses[j] : 0;
            }
            bool stays = topK == 0 || better < topK;
            before[i] = stays ? mass : long.MaxValue;
            sum += stays ? masses[i] : 0;
        }
        Reduce.GroupScan(sum, out sum);
        return sum;
    }

    /// <summary>The candidate at which the mass, added up in the order of ids, reaches <paramref name="wanted"/>.</summary>
    private static int Draw(int number, ArrayView<int> tokens, ArrayView<long> masses, long wanted, ArrayView<int> chosen)
    {
        for (int i = Group.IdxX; i < number; i += Group.DimX)
        {
            long upToThis = 0;
            for (int j = 0; j < number; j++) upToThis += tokens[j] <= tokens[i] ? masses[j] : 0;
            if (wanted <= upToThis && wanted > upToThis - masses[i]) chosen[0] = tokens[i];
        }
        Group.Barrier();
        return chosen[0];
    }
}
