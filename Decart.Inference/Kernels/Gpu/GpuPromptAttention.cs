using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Prompts;
using Decart.Inference.Kernels.Gpu.Tiles;
using Decart.Inference.Memory;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Attention of chunks by <see cref="WarpGroup"/> (sm_90a), for heads of up to 128 elements, with the bits of <see cref="GpuDecodeAttention"/>. One warp
/// copies tiles of 64 keys and their values into a ring; two warp groups attend, 64 queries each, which stay in registers, and take turns: while the tensor
/// cores have the products of one, the other computes weights (Shah et al., 2024, "FlashAttention-3"). One group stays on each multiprocessor and takes one
/// <see cref="PromptUnit"/> after the other.
/// </summary>
/// <remarks>
/// Keys and values that are <see cref="KvCodes"/> are copied as they are, a few tiles ahead, and made halves of in shared memory by the warps that copy: 16 tokens of a tile each. Their scales are powers of two,
/// so the bits are those of <see cref="GpuDecodeAttention"/>, which scales products.
/// </remarks>
internal static class GpuPromptAttention
{
    private const int Lanes = 32, Threads = (PromptTiles.Readers * Lanes) + WarpGroup.Threads;

    /// <summary>For heads of up to 64 and 128 elements, whose tokens lie at one distance from each other. Any number of groups.</summary>
    public static readonly GpuKernel<AttentionArguments> Heads64 = Create<PromptRing64>(Run64), Heads128 = Create<PromptRing128>(Run128);

    /// <summary>The same wherever tokens lie.</summary>
    public static readonly GpuKernel<AttentionArguments> Paged64 = Create<PromptRing64>(RunPaged64), Paged128 = Create<PromptRing128>(RunPaged128);

    /// <summary>The same for keys and values that are <see cref="KvCodes"/>.</summary>
    public static readonly GpuKernel<AttentionArguments> Codes64 = CreateForCodes<PromptCodeRing64>(RunCodes64), Codes128 = CreateForCodes<PromptCodeRing128>(RunCodes128);

    private static GpuKernel<AttentionArguments> Create<TShape>(Action<AttentionArguments> run, int codeBytes = 0)
        where TShape : IPromptRing => new(run, Threads)
        {
            MinArchitecture = 90,
            ForOneArchitecture = true,
            StartsEarly = true,
            SharedBytes = PromptCodes.Offset<TShape>() + codeBytes,
        };

    private static GpuKernel<AttentionArguments> CreateForCodes<TShape>(Action<AttentionArguments> run)
        where TShape : IPromptCodeRing => Create<TShape>(run, PromptCodes.Bytes<TShape>());

    private static void Run64(AttentionArguments a) => Run<PromptRing64>(a, tensors: true);

    private static void Run128(AttentionArguments a) => Run<PromptRing128>(a, tensors: true);

    private static void RunPaged64(AttentionArguments a) => Run<PromptRing64>(a, tensors: false);

    private static void RunPaged128(AttentionArguments a) => Run<PromptRing128>(a, tensors: false);

    private static void RunCodes64(AttentionArguments a) => RunCodes<PromptCodeRing64>(a);

    private static void RunCodes128(AttentionArguments a) => RunCodes<PromptCodeRing128>(a);

    /// <param name="a">The operation.</param>
    /// <param name="tensors">Whether keys and values are copied as boxes of a tensor: a constant.</param>
    private static void Run<TShape>(AttentionArguments a, bool tensors)
        where TShape : IPromptRing
    {
        GridDependency.LaunchDependents();
        if (!tensors && a.HeadDim < 64 * TShape.Groups) PromptCopies.ClearPadding<TShape>();
        // By shuffles, so that the driver's compiler knows them to be the same for all lanes, and what depends on them.
        int memory = Warp.Shuffle(Shared.Base(), 0), warp = Warp.Shuffle(Group.IdxX >> 5, 0), turns = memory + Ring<TShape>.Bytes;
        if (Group.IdxX < PromptUnit.WarpGroups) MBarrier.Init(turns + (Group.IdxX * MBarrier.Bytes), WarpGroup.Threads / Lanes);
        Ring<TShape> ring = Ring<TShape>.Create(memory);
        if (warp >= PromptTiles.Readers)
        {
            WarpGroup.LowerRegisters(24);
            GridDependency.Wait();
            if (!tensors) PromptCopies.CopyTokens(a, ring, warp - PromptTiles.Readers);
            else if (warp == PromptTiles.Readers) PromptCopies.CopyBoxes(a, ring);
        }
        else
        {
            WarpGroup.RaiseRegisters(240);
            GridDependency.Wait();
            Attend(a, ring, turns, warp >> 2);
        }
    }

    private static void RunCodes<TShape>(AttentionArguments a)
        where TShape : IPromptCodeRing
    {
        GridDependency.LaunchDependents();
        if (a.HeadDim < 64 * TShape.Groups) PromptCopies.ClearPadding<TShape>();
        int memory = Warp.Shuffle(Shared.Base(), 0), warp = Warp.Shuffle(Group.IdxX >> 5, 0), turns = memory + Ring<TShape>.Bytes;
        if (Group.IdxX < PromptUnit.WarpGroups) MBarrier.Init(turns + (Group.IdxX * MBarrier.Bytes), WarpGroup.Threads / Lanes);
        Ring<TShape> ring = Ring<TShape>.Create(memory);
        if (warp >= PromptTiles.Readers)
        {
            WarpGroup.LowerRegisters(24);
            GridDependency.Wait();
            PromptCodes.Copy(a, ring, memory);
        }
        else
        {
            WarpGroup.RaiseRegisters(240);
            GridDependency.Wait();
            Attend(a, ring, turns, warp >> 2);
        }
    }

    /// <summary>The other warp group may start its products.</summary>
    private static void PassTurn(int turns, int warpGroup)
    {
        Warp.Barrier();
        if (Warp.LaneIdx == 0) MBarrier.Arrive(turns + ((warpGroup ^ 1) * MBarrier.Bytes));
    }

    /// <param name="a">The operation.</param>
    /// <param name="ring">Keys and values.</param>
    /// <param name="turns">For each warp group a barrier that it is its turn.</param>
    /// <param name="warpGroup">The number of the warp group.</param>
    private static void Attend<TShape>(AttentionArguments a, Ring<TShape> ring, int turns, int warpGroup)
        where TShape : IPromptRing
    {
        int units = PromptUnit.Count(a), number = PromptUnit.Number(0), turn = turns + (warpGroup * MBarrier.Bytes), parity = 0;
        if (number >= units) return;
        if (warpGroup == 1) PassTurn(turns, 1);
        PromptUnit unit = PromptUnit.Load(a, number);
        AttentionRowOperands queries = PromptQueries.Load(a, unit, warpGroup, TShape.Groups);
        for (int round = 1; number < units; round++)
        {
            // From the first position on some query does not see a key, before the last window some does not.
            int lastPlain = a.Plain != 0 ? unit.Position + PromptUnit.FirstIndex(unit, warpGroup) - (AttentionScores.TileKeys - 1) : -1;
            int end = PromptUnit.End(unit), firstPlain = a.Window != 0 ? end - a.Window : 0;
            int key = PromptUnit.Begin(a, unit), split = GpuSplits.Of(key), splitEnd = GpuSplits.Start(split + 1), ownEnd = Pinned.Varying(splitEnd), accumulate = 0;
            AttentionRowTotals whole = new() { Upper = AttentionSoftmax.None, Lower = AttentionSoftmax.None };
            Tile64 products = default;
            Tile128 sums = default, totals = default;

            Ring<TShape>.Await(ring);
            MBarrier.Wait(turn, parity);
            WarpGroup.Fence();
            products = PromptProducts.Multiply(products, queries, Ring<TShape>.Stage(ring), TShape.Groups);
            WarpGroup.Commit();
            PassTurn(turns, warpGroup);
            parity ^= 1;
            // What comes next is known before it is needed.
            number = PromptUnit.Number(round);
            PromptUnit following = unit;
            if (number < units) following = PromptUnit.Load(a, number);
            WarpGroup.Wait(0);
            Tile64 scores = products;
            if (key > lastPlain || key < firstPlain) scores = AttentionRows.Score(a, scores, key, unit, warpGroup);
            AttentionRowSoftmaxes softmax = AttentionRowSoftmaxes.None;
            AttentionRows.Raise(a, scores, ref softmax);
            AttentionRowWeights weights = AttentionRows.Weigh(a, scores, ref softmax);
            for (key += AttentionScores.TileKeys; key < end; key += AttentionScores.TileKeys)
            {
                Ring<TShape> before = ring;
                ring = Ring<TShape>.Next(ring);
                Ring<TShape>.Await(ring);
                MBarrier.Wait(turn, parity);
                WarpGroup.Fence();
                products = PromptProducts.Multiply(products, queries, Ring<TShape>.Stage(ring), TShape.Groups);
                WarpGroup.Commit();
                sums = PromptProducts.AddValues(sums, weights, Ring<TShape>.Stage(before) + (TShape.Groups * PromptTiles.BlockBytes), TShape.Groups, accumulate);
                WarpGroup.Commit();
                PassTurn(turns, warpGroup);
                parity ^= 1;
                accumulate = 1;
                WarpGroup.Wait(1);
                scores = products;
                if (key > lastPlain || key < firstPlain) scores = AttentionRows.Score(a, scores, key, unit, warpGroup);
                AttentionRowFactors old = default, factors = default;
                // What lanes and what the scalar unit hold changes apart.
                if (Vote.Any(key == ownEnd ? 1 : 0) != 0)
                {
                    old = Join(a, ref whole, softmax, out factors);
                    softmax = AttentionRowSoftmaxes.None;
                    ownEnd = Pinned.Varying(GpuSplits.Start(split + 2));
                }
                if (key == splitEnd)
                {
                    split++;
                    splitEnd = GpuSplits.Start(split + 1);
                    accumulate = 0;
                }
                // Mostly no maximum changes, and what sums so far are multiplied with is 1.
                int raises = AttentionRows.Exceeds(scores, softmax);
                AttentionRowFactors raised = default;
                if (raises != 0) raised = AttentionRows.Raise(a, scores, ref softmax);
                AttentionRowWeights next = AttentionRows.Weigh(a, scores, ref softmax);
                WarpGroup.ComputeFirst(AttentionRows.Any(next));
                WarpGroup.Wait(0);
                Ring<TShape>.Release(before);
                weights = next;
                if (accumulate == 0)
                {
                    totals = Merge(totals, old, sums, factors, TShape.Groups);
                }
                else if (raises != 0)
                {
                    sums.Left = AttentionRows.Scale(sums.Left, raised);
                    if (TShape.Groups > 1) sums.Right = AttentionRows.Scale(sums.Right, raised);
                }
            }
            MBarrier.Wait(turn, parity);
            WarpGroup.Fence();
            sums = PromptProducts.AddValues(sums, weights, Ring<TShape>.Stage(ring) + (TShape.Groups * PromptTiles.BlockBytes), TShape.Groups, accumulate);
            WarpGroup.Commit();
            PassTurn(turns, warpGroup);
            parity ^= 1;
            // The next queries come while this unit ends.
            if (number < units) queries = PromptQueries.Load(a, following, warpGroup, TShape.Groups);
            AttentionRowFactors last = Join(a, ref whole, softmax, out AttentionRowFactors lastFactors);
            WarpGroup.Wait(0);
            Ring<TShape>.Release(ring);
            ring = Ring<TShape>.Next(ring);
            totals = Merge(totals, last, sums, lastFactors, TShape.Groups);
            PromptOutput.Store(a, unit, warpGroup, totals, whole, TShape.Groups);
            unit = following;
        }
    }

    /// <summary>Brings the softmaxes of the rows up to date with those of a split; returns what totals so far are multiplied with.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="whole">Of the rows.</param>
    /// <param name="split">Of the split.</param>
    /// <param name="factors">What the split's sums are multiplied with.</param>
    private static AttentionRowFactors Join(AttentionArguments a, ref AttentionRowTotals whole, AttentionRowSoftmaxes split, out AttentionRowFactors factors)
    {
        AttentionJoin upper = GpuAttentionMerge.Join(whole.Upper, split.Upper.Max * a.Factor, AttentionRows.RowSum(split.Upper));
        AttentionJoin lower = GpuAttentionMerge.Join(whole.Lower, split.Lower.Max * a.Factor, AttentionRows.RowSum(split.Lower));
        whole.Upper = upper.Whole;
        whole.Lower = lower.Whole;
        factors = new AttentionRowFactors { Upper = upper.Factor, Lower = lower.Factor };
        return new AttentionRowFactors { Upper = upper.Old, Lower = lower.Old };
    }

    /// <summary>totals times <paramref name="old"/> plus sums times <paramref name="factors"/>.</summary>
    private static Tile128 Merge(Tile128 totals, AttentionRowFactors old, Tile128 sums, AttentionRowFactors factors, int groups)
    {
        // Mostly it is 1.
        if (Vote.Any(old.Upper != 1 || old.Lower != 1 ? 1 : 0) != 0)
        {
            totals.Left = AttentionRows.Scale(totals.Left, old);
            if (groups > 1) totals.Right = AttentionRows.Scale(totals.Right, old);
        }
        totals.Left = AttentionRows.Add(totals.Left, sums.Left, factors);
        if (groups > 1) totals.Right = AttentionRows.Add(totals.Right, sums.Right, factors);
        return totals;
    }
}
