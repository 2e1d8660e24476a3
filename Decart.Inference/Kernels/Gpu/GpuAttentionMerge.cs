using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>A row's softmax with one more split, and what totals and the split's sums are multiplied with.</summary>
internal struct AttentionJoin
{
    public AttentionSoftmax Whole;
    public float Old, Factor;
}

/// <summary>
/// What becomes of splits: results in registers or in memory, merged in order by the same operations. In memory a split leaves for each head what
/// <see cref="GpuAttention.PartialAddress"/> has room for, its maximum in units of log 2.
/// </summary>
internal static class GpuAttentionMerge
{
    /// <summary>Splits of a <see cref="PartialBatch"/>.</summary>
    private const int Batch = 4;

    private const int Lanes = 32;

    /// <summary>Dimensions of warp number <paramref name="rank"/> of a team begin here; there are 16 for each group of 64.</summary>
    private static int FirstDim(int rank, int groups) => rank * 16 * groups;

    /// <summary>Brings the softmaxes of a row up to date with those of a split; returns what totals so far are multiplied with.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="whole">Of the row; its maxima are in units of log 2.</param>
    /// <param name="split">Of the split.</param>
    /// <param name="factors">What the split's sums are multiplied with.</param>
    public static Float4 Join(AttentionArguments a, ref AttentionColumnPair whole, AttentionColumnPair split, out Float4 factors)
    {
        AttentionJoin even = Join(whole.Even, split.Even.Max * a.Factor, split.Even.Sum), odd = Join(whole.Odd, split.Odd.Max * a.Factor, split.Odd.Sum);
        whole.Even = even.Whole;
        whole.Odd = odd.Whole;
        factors = new Float4 { A = even.Factor, B = odd.Factor };
        return new Float4 { A = even.Old, B = odd.Old };
    }

    /// <summary>The same for one query.</summary>
    public static AttentionJoin Join(AttentionSoftmax whole, float max, float sum)
    {
        float newMax = Float32.Max(whole.Max, max);
        AttentionJoin join = new() { Old = Float32.Exp2(whole.Max - newMax), Factor = Float32.Exp2(max - newMax) };
        join.Whole = new AttentionSoftmax { Max = newMax, Sum = Float32.Fma(whole.Sum, join.Old, sum * join.Factor) };
        return join;
    }

    /// <summary>
    /// Whether the warp is the last of its rank that is done with a unit of a row and its heads; if so it sees what the others have stored.
    /// </summary>
    public static bool IsLast(AttentionArguments a, GpuAttentionHeader header, AttentionUnit unit, int rank)
    {
        long counter = a.Counters + ((((((long)unit.HeadUnit * header.Tiles) + unit.Tile) * AttentionColumns.TeamWarps) + rank) * sizeof(int));
        Warp.Barrier();
        int done = 0;
        if (Warp.LaneIdx == 0) done = Global.AddOrdered(counter, 1);
        done = Warp.Shuffle(done, 0);
        Warp.Barrier();
        if (done != unit.Items - 1) return false;
        if (Warp.LaneIdx == 0) Global.StoreInt(counter, 0);
        return true;
    }

    /// <summary>Merges all splits of a row for the heads of a unit and the dimensions of a warp, whose lanes divide them.</summary>
    public static void Merge(AttentionArguments a, AttentionUnit unit, int rank, int groups)
    {
        int largest = 0, shift = groups > 1 ? 3 : 2, firstSplit = GpuSplits.Of(unit.FirstKey), splits = GpuSplits.Of(unit.Row.Position) + 1 - firstSplit;
        for (int i = Warp.LaneIdx; i < unit.HeadCount << shift; i += Lanes)
        {
            int dim = FirstDim(rank, groups) + ((i & ((1 << shift) - 1)) * 4);
            if (dim < a.HeadDim) largest = Math.Max(largest, MergeFour(a, unit.RowNumber, unit.FirstSlot + firstSplit, splits, unit.FirstHead + (i >> shift), dim));
        }
        if (a.Maxima != 0) RowMaxima.RaiseByWarp(a.Maxima, unit.RowNumber, largest);
    }

    /// <summary>Stores what a split leaves of the dimensions of a warp. What it leaves of the softmax all warps store, so that each sees its own.</summary>
    public static void StorePartial(
        AttentionArguments a, AttentionUnit unit, int split, int rank, AttentionSums sums, AttentionColumnPair softmax, int groups)
    {
        int column = (Warp.LaneIdx & 3) * 2, slot = unit.FirstSlot + split, dim = FirstDim(rank, groups);
        long even = GpuAttention.PartialAddress(a, slot, unit.FirstHead + column), odd = even + ((a.HeadDim + GpuAttention.PartialTail) * sizeof(float));
        bool hasEven = column < unit.HeadCount, hasOdd = column + 1 < unit.HeadCount;
        StorePartial(a, even, odd, hasEven, hasOdd, dim, sums.A);
        if (groups > 1) StorePartial(a, even, odd, hasEven, hasOdd, dim + 16, sums.B);
        if (Warp.LaneIdx >= 4) return;
        if (hasEven) StoreTail(a, even, softmax.Even);
        if (hasOdd) StoreTail(a, odd, softmax.Odd);
    }

    /// <summary>Stores the outputs of the unit's heads, of the dimensions of a warp.</summary>
    public static void StoreOutputs(AttentionArguments a, AttentionUnit unit, int rank, AttentionSums totals, AttentionColumnPair whole, int groups)
    {
        // Averages of halves do not exceed the largest half.
        Float4 inverses = new() { A = Float32.Divide(1, whole.Even.Sum), B = Float32.Divide(1, whole.Odd.Sum) };
        int dim = FirstDim(rank, groups);
        int largest = StoreOutputs(a, unit, dim, totals.A, inverses);
        if (groups > 1) largest = Math.Max(largest, StoreOutputs(a, unit, dim + 16, totals.B, inverses));
        if (a.Maxima != 0) RowMaxima.RaiseByWarp(a.Maxima, unit.RowNumber, largest);
    }

    /// <summary>Stores two neighbouring elements of a head's output.</summary>
    public static void StoreOutput(AttentionArguments a, int row, int head, int dim, uint halves) =>
        Global.StoreInt(a.Y + CoreTiles.OperandOffset(row, (head * a.HeadDim) + dim, a.YStride, a.YBlockRows), (int)halves);

    /// <summary>Merges four elements of a head; returns the largest <see cref="RowMaxima.Of"/>.</summary>
    private static int MergeFour(AttentionArguments a, int row, int firstSlot, int splits, int head, int dim)
    {
        AttentionSoftmax whole = AttentionSoftmax.None;
        Float4 total = default;
        long address = GpuAttention.PartialAddress(a, firstSlot, head), step = (long)a.Heads * (a.HeadDim + GpuAttention.PartialTail) * sizeof(float);
        for (int left = splits; left > 0; left -= 3 * Batch)
        {
            // Twelve are on their way at once: splits are small, and far away.
            PartialBatch first = LoadBatch(a, address, step, left, dim), second = LoadBatch(a, address + (Batch * step), step, left - Batch, dim);
            PartialBatch third = LoadBatch(a, address + (2 * Batch * step), step, left - (2 * Batch), dim);
            total = AddBatch(total, ref whole, first);
            total = AddBatch(total, ref whole, second);
            total = AddBatch(total, ref whole, third);
            address += 3 * Batch * step;
        }
        float inverse = Float32.Divide(1, whole.Sum);
        uint pair = Halves.Round(total.A * inverse, total.B * inverse), other = Halves.Round(total.C * inverse, total.D * inverse);
        StoreOutput(a, row, head, dim, pair);
        StoreOutput(a, row, head, dim + 2, other);
        return Math.Max(RowMaxima.Of(pair), RowMaxima.Of(other));
    }

    private static PartialBatch LoadBatch(AttentionArguments a, long address, long step, int left, int dim) => new()
    {
        A = LoadSums(address, left > 0, dim),
        B = LoadSums(address + step, left > 1, dim),
        C = LoadSums(address + (2 * step), left > 2, dim),
        D = LoadSums(address + (3 * step), left > 3, dim),
        Maxima = new Float4
        {
            A = LoadMax(a, address, left > 0),
            B = LoadMax(a, address + step, left > 1),
            C = LoadMax(a, address + (2 * step), left > 2),
            D = LoadMax(a, address + (3 * step), left > 3),
        },
        WeightSums = new Float4
        {
            A = LoadWeightSum(a, address, left > 0),
            B = LoadWeightSum(a, address + step, left > 1),
            C = LoadWeightSum(a, address + (2 * step), left > 2),
            D = LoadWeightSum(a, address + (3 * step), left > 3),
        },
    };

    /// <summary>Where there is no split, what changes nothing: adding the product of minus zero and zero keeps a total's sign.</summary>
    private static Float4 LoadSums(long address, bool exists, int dim)
    {
        Float4 sums = new() { A = -0f, B = -0f, C = -0f, D = -0f };
        if (exists) sums = Global.LoadFloat4(address + (dim * sizeof(float)));
        return sums;
    }

    /// <inheritdoc cref="LoadSums"/>
    private static float LoadMax(AttentionArguments a, long address, bool exists)
    {
        float max = AttentionScores.NoMaximum;
        if (exists) max = Global.LoadFloat(address + (a.HeadDim * sizeof(float)));
        return max;
    }

    /// <inheritdoc cref="LoadSums"/>
    private static float LoadWeightSum(AttentionArguments a, long address, bool exists)
    {
        float sum = 0;
        if (exists) sum = Global.LoadFloat(address + ((a.HeadDim + 1) * sizeof(float)));
        return sum;
    }

    private static Float4 AddBatch(Float4 total, ref AttentionSoftmax whole, PartialBatch batch)
    {
        total = Add(total, ref whole, batch.A, batch.Maxima.A, batch.WeightSums.A);
        total = Add(total, ref whole, batch.B, batch.Maxima.B, batch.WeightSums.B);
        total = Add(total, ref whole, batch.C, batch.Maxima.C, batch.WeightSums.C);
        return Add(total, ref whole, batch.D, batch.Maxima.D, batch.WeightSums.D);
    }

    private static Float4 Add(Float4 total, ref AttentionSoftmax whole, Float4 sums, float max, float weightSum)
    {
        AttentionJoin join = Join(whole, max, weightSum);
        float old = join.Old, factor = join.Factor;
        whole = join.Whole;
        return new Float4
        {
            A = Float32.Fma(sums.A, factor, total.A * old),
            B = Float32.Fma(sums.B, factor, total.B * old),
            C = Float32.Fma(sums.C, factor, total.C * old),
            D = Float32.Fma(sums.D, factor, total.D * old),
        };
    }

    private static void StorePartial(AttentionArguments a, long even, long odd, bool hasEven, bool hasOdd, int dim, Float4 sum)
    {
        dim += Warp.LaneIdx >> 2;
        long offset = dim * sizeof(float), next = offset + (8 * sizeof(float));
        if (hasEven && dim < a.HeadDim) Global.StoreFloat(even + offset, sum.A);
        if (hasOdd && dim < a.HeadDim) Global.StoreFloat(odd + offset, sum.B);
        if (hasEven && dim + 8 < a.HeadDim) Global.StoreFloat(even + next, sum.C);
        if (hasOdd && dim + 8 < a.HeadDim) Global.StoreFloat(odd + next, sum.D);
    }

    private static void StoreTail(AttentionArguments a, long partial, AttentionSoftmax softmax) => Global.StoreFloat4(
        partial + (a.HeadDim * sizeof(float)), new Float4 { A = softmax.Max * a.Factor, B = softmax.Sum });

    /// <summary>Transposed, a lane has neighbouring elements of one head. Returns the largest <see cref="RowMaxima.Of"/> of those that it has stored.</summary>
    private static int StoreOutputs(AttentionArguments a, AttentionUnit unit, int dim, Float4 total, Float4 inverses)
    {
        uint upper = TensorCore.Transpose(Halves.Round(total.A * inverses.A, total.B * inverses.B));
        uint lower = TensorCore.Transpose(Halves.Round(total.C * inverses.A, total.D * inverses.B));
        int lane = Warp.LaneIdx, head = lane >> 2;
        dim += (lane & 3) * 2;
        int largest = 0;
        if (head < unit.HeadCount && dim < a.HeadDim)
        {
            StoreOutput(a, unit.RowNumber, unit.FirstHead + head, dim, upper);
            largest = RowMaxima.Of(upper);
        }
        if (head < unit.HeadCount && dim + 8 < a.HeadDim)
        {
            StoreOutput(a, unit.RowNumber, unit.FirstHead + head, dim + 8, lower);
            largest = Math.Max(largest, RowMaxima.Of(lower));
        }
        return largest;
    }

    /// <summary>Of four splits: four elements of what each leaves for a head, its maximum and its sum of weights.</summary>
    private struct PartialBatch
    {
        public Float4 A, B, C, D, Maxima, WeightSums;
    }
}
