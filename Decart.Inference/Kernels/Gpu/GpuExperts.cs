using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;
using ILGPU.Algorithms;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Pair p belongs to row p / <see cref="PerToken"/> of the batch and to one of its experts, which are in ascending order.</summary>
internal struct ExpertsArguments
{
    /// <summary>Address of the number of tokens (int).</summary>
    public long Count;

    /// <summary>Float32, one row for each token.</summary>
    public long Logits;

    /// <summary>For each pair its expert (int) and its weight (float32).</summary>
    public long Choices, Weights;

    /// <summary>The pairs by expert, and for each expert where its pairs begin there, then their number (int).</summary>
    public long Order, Starts;

    /// <summary>Float32, one row for each pair.</summary>
    public long Outputs;

    /// <summary>Float32, one row for each token.</summary>
    public long Y;

    public int Experts, PerToken, Renormalise, LogitsStride, OutputsStride, YStride, Columns;
}

/// <summary>The parts of a mixture of experts around its matmuls.</summary>
internal static class GpuExperts
{
    /// <summary>Chooses the most probable experts of each token, of equally probable ones the first: one warp a token.</summary>
    public static readonly GpuKernel<ExpertsArguments> RouteKernel = new(Route, groupSize: 32);

    /// <summary>Orders the pairs by expert: one group, one thread an expert.</summary>
    public static readonly GpuKernel<ExpertsArguments> GroupKernel = new(GroupPairs, groupSize: 256);

    /// <summary>y += sum over the token's experts in ascending order of weight * output: one group a token.</summary>
    public static readonly GpuKernel<ExpertsArguments> MixKernel = new(Mix);

    private static void Route(ExpertsArguments a)
    {
        // Where warps are smaller than elsewhere the group has several.
        if (Group.IdxX >= Warp.WarpSize || Grid.IdxX >= Global.LoadInt(a.Count)) return;
        long logits = a.Logits + ((long)Grid.IdxX * a.LogitsStride * sizeof(float));
        long choices = a.Choices + ((long)Grid.IdxX * a.PerToken * sizeof(int)), weights = a.Weights + ((long)Grid.IdxX * a.PerToken * sizeof(float));
        float max = float.NegativeInfinity;
        for (int i = Warp.LaneIdx; i < a.Experts; i += Warp.WarpSize)
        {
            float logit = Global.LoadFloat(logits + (i * sizeof(float)));
            max = logit > max ? logit : max;
        }
        max = Reduce.WarpMax(max);
        float sum = 0;
        for (int i = Warp.LaneIdx; i < a.Experts; i += Warp.WarpSize) sum += XMath.Exp(Global.LoadFloat(logits + (i * sizeof(float))) - max);
        sum = Reduce.WarpSum(sum);

        float chosen = float.PositiveInfinity, chosenSum = 0;
        int expert = -1;
        for (int rank = 0; rank < a.PerToken; rank++)
        {
            Next(logits, a.Experts, ref chosen, ref expert);
            float weight = XMath.Exp(chosen - max);
            chosenSum += weight;
            if (Warp.LaneIdx == 0) Insert(choices, weights, rank, expert, weight);
        }
        if (Warp.LaneIdx != 0) return;
        float factor = 1 / (a.Renormalise != 0 ? chosenSum : sum);
        for (int rank = 0; rank < a.PerToken; rank++)
        {
            long address = weights + (rank * sizeof(float));
            Global.StoreFloat(address, Global.LoadFloat(address) * factor);
        }
    }

    /// <summary>The expert that follows in descending order of logits and ascending order of numbers.</summary>
    private static void Next(long logits, int experts, ref float chosen, ref int expert)
    {
        float best = float.NegativeInfinity;
        int bestExpert = int.MaxValue;
        for (int i = Warp.LaneIdx; i < experts; i += Warp.WarpSize)
        {
            float logit = Global.LoadFloat(logits + (i * sizeof(float)));
            bool follows = logit < chosen || (logit == chosen && i > expert);
            if (follows && (logit > best || bestExpert == int.MaxValue))
            {
                best = logit;
                bestExpert = i;
            }
        }
        for (int distance = Warp.WarpSize / 2; distance > 0; distance /= 2)
        {
            float other = Warp.ShuffleXor(best, distance);
            int otherExpert = Warp.ShuffleXor(bestExpert, distance);
            if (other > best || (other == best && otherExpert < bestExpert))
            {
                best = other;
                bestExpert = otherExpert;
            }
        }
        chosen = best;
        // Logits that are not numbers leave no expert to choose; any will do.
        expert = bestExpert < experts ? bestExpert : experts - 1;
    }

    /// <summary>Puts an expert where it belongs among those chosen before.</summary>
    private static void Insert(long choices, long weights, int count, int expert, float weight)
    {
        int place = count;
        while (place > 0 && Global.LoadInt(choices + ((place - 1) * sizeof(int))) > expert)
        {
            Global.StoreInt(choices + (place * sizeof(int)), Global.LoadInt(choices + ((place - 1) * sizeof(int))));
            Global.StoreFloat(weights + (place * sizeof(float)), Global.LoadFloat(weights + ((place - 1) * sizeof(float))));
            place--;
        }
        Global.StoreInt(choices + (place * sizeof(int)), expert);
        Global.StoreFloat(weights + (place * sizeof(float)), weight);
    }

    private static void GroupPairs(ExpertsArguments a)
    {
        int pairs = Global.LoadInt(a.Count) * a.PerToken;
        for (int expert = Group.IdxX; expert <= a.Experts; expert += Group.DimX)
        {
            int start = 0;
            for (int pair = 0; pair < pairs; pair++) start += Global.LoadInt(a.Choices + (pair * sizeof(int))) < expert ? 1 : 0;
            Global.StoreInt(a.Starts + (expert * sizeof(int)), start);
            for (int pair = 0; pair < pairs; pair++)
            {
                if (Global.LoadInt(a.Choices + (pair * sizeof(int))) == expert)
                {
                    Global.StoreInt(a.Order + (start * sizeof(int)), pair);
                    start++;
                }
            }
        }
    }

    private static void Mix(ExpertsArguments a)
    {
        if (Grid.IdxX >= Global.LoadInt(a.Count)) return;
        for (int i = Group.IdxX; i < a.Columns; i += Group.DimX)
        {
            float sum = 0;
            for (int pair = Grid.IdxX * a.PerToken; pair < (Grid.IdxX + 1) * a.PerToken; pair++)
            {
                float output = Global.LoadFloat(a.Outputs + ((((long)pair * a.OutputsStride) + i) * sizeof(float)));
                sum = Float32.Fma(Global.LoadFloat(a.Weights + (pair * sizeof(float))), output, sum);
            }
            long address = a.Y + ((((long)Grid.IdxX * a.YStride) + i) * sizeof(float));
            Global.StoreFloat(address, Global.LoadFloat(address) + sum);
        }
    }
}
