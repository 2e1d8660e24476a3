using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Models;
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

    /// <summary>See <see cref="ExpertBlock"/>, and for each pair its row in the blocks (int).</summary>
    public long Blocks, Rows;

    /// <summary>The operand, and its rows in the blocks.</summary>
    public long X, Gathered;

    /// <summary>Float32, in the rows of the blocks.</summary>
    public long Outputs;

    /// <summary>Float32, one row for each token.</summary>
    public long Y;

    public int Experts, PerToken, Renormalise, LogitsStride, XStride, OutputsStride, YStride, Columns;

    /// <summary>Rows of a block, a power of two, and of a block of x.</summary>
    public int BlockRows, XBlockRows;
}

/// <summary>The parts of a mixture of experts around its matmuls.</summary>
internal static class GpuExperts
{
    /// <summary>The most experts of a model.</summary>
    private const int MaxExperts = ModelLimits.Experts;

    /// <summary>Chooses the most probable experts of each token, of equally probable ones the first: one warp a token.</summary>
    public static readonly GpuKernel<ExpertsArguments> RouteKernel = new(Route, groupSize: 32) { StartsEarly = true };

    /// <summary>Puts the pairs into blocks of one expert each: one group an expert.</summary>
    public static readonly GpuKernel<ExpertsArguments> GroupKernel = new(GroupPairs, groupSize: 256) { StartsEarly = true };

    /// <summary>Copies rows of x into the blocks: one group a pair.</summary>
    public static readonly GpuKernel<ExpertsArguments> GatherKernel = new(Gather, groupSize: 128) { StartsEarly = true };

    /// <summary>y += sum over the token's experts in ascending order of weight * output: groups for a token's columns, one each a thread.</summary>
    public static readonly GpuKernel<ExpertsArguments> MixKernel = new(Mix, groupSize: 128) { StartsEarly = true };

    private static void Route(ExpertsArguments a)
    {
        GridDependency.LaunchDependents();
        GridDependency.Wait();
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

        float chosen = float.PositiveInfinity, chosenSum = 0, ownWeight = 0;
        int expert = -1, own = int.MaxValue;
        bool lanesHoldThem = a.PerToken <= Warp.WarpSize;
        for (int rank = 0; rank < a.PerToken; rank++)
        {
            Next(logits, a.Experts, ref chosen, ref expert);
            float weight = XMath.Exp(chosen - max);
            chosenSum += weight;
            if (!lanesHoldThem)
            {
                if (Warp.LaneIdx == 0) Insert(choices, weights, rank, expert, weight);
            }
            else if (Warp.LaneIdx == rank)
            {
                own = expert;
                ownWeight = weight;
            }
        }
        float factor = 1 / (a.Renormalise != 0 ? chosenSum : sum);
        if (lanesHoldThem)
        {
            int place = 0;
            for (int rank = 0; rank < a.PerToken; rank++)
            {
                int other = Warp.Shuffle(own, rank);
                // Logits that are not numbers may choose an expert more than once.
                place += other < own || (other == own && rank < Warp.LaneIdx) ? 1 : 0;
            }
            if (Warp.LaneIdx >= a.PerToken) return;
            Global.StoreInt(choices + (place * sizeof(int)), own);
            Global.StoreFloat(weights + (place * sizeof(float)), ownWeight * factor);
        }
        else if (Warp.LaneIdx == 0)
        {
            for (int rank = 0; rank < a.PerToken; rank++)
            {
                long address = weights + (rank * sizeof(float));
                Global.StoreFloat(address, Global.LoadFloat(address) * factor);
            }
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
        ArrayView<int> numbers = SharedMemory.Allocate1D<int>(MaxExperts).BaseView;
        GridDependency.LaunchDependents();
        for (int i = Group.IdxX; i < a.Experts; i += Group.DimX) numbers[i] = 0;
        Group.Barrier();
        GridDependency.Wait();
        // Each thread has neighbouring pairs, so that an expert's rows are in the order of its pairs.
        int pairs = Global.LoadInt(a.Count) * a.PerToken, share = (pairs + Group.DimX - 1) / Group.DimX, first = Group.IdxX * share;
        int end = first + share < pairs ? first + share : pairs, expert = Grid.IdxX, own = 0;
        for (int pair = first; pair < end; pair++)
        {
            int choice = Choice(a, pair);
            Atomic.Add(ref numbers[choice], 1);
            own += choice == expert ? 1 : 0;
        }
        Group.Barrier();
        int number = numbers[expert], blocksBefore = 0;
        for (int i = Group.IdxX; i < expert; i += Group.DimX) blocksBefore += Blocks(a, numbers[i]);
        Reduce.GroupScan(blocksBefore, out long before);
        int block = (int)before, row = (block * a.BlockRows) + (int)Reduce.GroupScan(own, out _);
        for (int pair = first; pair < end; pair++)
        {
            if (Choice(a, pair) != expert) continue;
            Global.StoreInt(a.Rows + (pair * sizeof(int)), row);
            row++;
        }
        int blocks = Blocks(a, number), lastEnd = (block * a.BlockRows) + number;
        for (int i = Group.IdxX; i < blocks; i += Group.DimX)
        {
            int blockEnd = (block + i + 1) * a.BlockRows;
            ExpertBlock.Store(a.Blocks, block + i, new ExpertBlock { Expert = expert, End = blockEnd < lastEnd ? blockEnd : lastEnd });
        }
        if (expert == a.Experts - 1 && Group.IdxX == 0) ExpertBlock.StoreCount(a.Blocks, block + blocks, (block + blocks) * a.BlockRows);
    }

    private static int Choice(ExpertsArguments a, int pair) => Global.LoadInt(a.Choices + (pair * sizeof(int)));

    private static int Blocks(ExpertsArguments a, int rows) => (rows + a.BlockRows - 1) / a.BlockRows;

    private static void Gather(ExpertsArguments a)
    {
        GridDependency.LaunchDependents();
        GridDependency.Wait();
        int pair = Grid.IdxX, token = pair / a.PerToken;
        if (token >= Global.LoadInt(a.Count)) return;
        int row = Global.LoadInt(a.Rows + (pair * sizeof(int)));
        for (int column = Group.IdxX * CoreRow.Columns; column < a.XStride; column += Group.DimX * CoreRow.Columns)
        {
            UInt4 values = Global.Load16(a.X + CoreTiles.OperandOffset(token, column, a.XStride, a.XBlockRows));
            Global.Store16(a.Gathered + CoreTiles.OperandOffset(row, column, a.XStride, a.BlockRows), values);
        }
    }

    private static void Mix(ExpertsArguments a)
    {
        GridDependency.LaunchDependents();
        GridDependency.Wait();
        if (Grid.IdxX >= Global.LoadInt(a.Count)) return;
        int column = (Grid.IdxY * Group.DimX) + Group.IdxX;
        float sum = 0;
        // Each lane looks up the row and the weight of one expert.
        for (int first = 0; first < a.PerToken; first += Warp.WarpSize)
        {
            int rank = first + Warp.LaneIdx, row = 0;
            float weight = 0;
            if (rank < a.PerToken)
            {
                int pair = (Grid.IdxX * a.PerToken) + rank;
                row = Global.LoadInt(a.Rows + (pair * sizeof(int)));
                weight = Global.LoadFloat(a.Weights + (pair * sizeof(float)));
            }
            for (int lane = 0; lane < Warp.WarpSize && first + lane < a.PerToken; lane++)
            {
                int otherRow = Warp.Shuffle(row, lane);
                float otherWeight = Warp.Shuffle(weight, lane);
                if (column < a.Columns) sum = Float32.Fma(otherWeight, Global.LoadFloat(a.Outputs + ((((long)otherRow * a.OutputsStride) + column) * sizeof(float))), sum);
            }
        }
        if (column >= a.Columns) return;
        long address = a.Y + ((((long)Grid.IdxX * a.YStride) + column) * sizeof(float));
        Global.StoreFloat(address, Global.LoadFloat(address) + sum);
    }
}
