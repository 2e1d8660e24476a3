using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Splits of a row that lie in memory.</summary>
internal struct AttentionMerge
{
    public int Row, FirstSlot, Splits, FirstHead, Heads;
}

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

    /// <summary>Whether the warp is the last that is done with a unit of a row and its heads; if so it sees what the others have stored.</summary>
    public static bool IsLast(AttentionArguments a, GpuAttentionHeader header, AttentionUnit unit)
    {
        long counter = a.Counters + ((((long)unit.HeadUnit * header.Tiles) + unit.Tile) * sizeof(int));
        Warp.Barrier();
        int done = 0;
        if (Warp.LaneIdx == 0) done = Global.AddOrdered(counter, 1);
        done = Warp.Shuffle(done, 0);
        Warp.Barrier();
        if (done != unit.Items - 1) return false;
        if (Warp.LaneIdx == 0) Global.StoreInt(counter, 0);
        return true;
    }

    /// <summary>What is to be merged: all splits of a row for the heads of a unit.</summary>
    public static AttentionMerge JobOf(AttentionUnit unit) => new()
    {
        Row = unit.RowNumber,
        FirstSlot = unit.Row.PartialStart,
        Splits = GpuSplits.Of(unit.Row.Position) + 1 - unit.RowSplit,
        FirstHead = unit.FirstHead,
        Heads = unit.HeadCount,
    };

    /// <summary>Does it; the lanes of a warp divide heads and dimensions.</summary>
    public static void Merge(AttentionArguments a, AttentionMerge job)
    {
        for (int i = Warp.LaneIdx; i < job.Heads * (a.HeadDim >> 2); i += 32) MergeFour(a, job, i);
    }

    /// <summary>Merges number <paramref name="i"/> of the fours of dimensions of the heads of a job, if there is one.</summary>
    public static void MergeFour(AttentionArguments a, AttentionMerge job, int i)
    {
        int quads = a.HeadDim >> 2, head = i / quads, dim = (i - (head * quads)) * 4;
        if (head >= job.Heads) return;
        head += job.FirstHead;
        AttentionSoftmax whole = AttentionSoftmax.None;
        Float4 total = default;
        for (int split = 0; split < job.Splits; split += 3 * Batch)
        {
            // Twelve are on their way at once: splits are small, and far away.
            PartialBatch first = LoadBatch(a, job, split, head, dim), second = LoadBatch(a, job, split + Batch, head, dim);
            PartialBatch third = LoadBatch(a, job, split + (2 * Batch), head, dim);
            total = AddBatch(total, ref whole, first, job.Splits - split);
            total = AddBatch(total, ref whole, second, job.Splits - split - Batch);
            total = AddBatch(total, ref whole, third, job.Splits - split - (2 * Batch));
        }
        float inverse = Float32.Divide(1, whole.Sum);
        StoreOutput(a, job.Row, head, dim, Halves.Round(total.A * inverse, total.B * inverse));
        StoreOutput(a, job.Row, head, dim + 2, Halves.Round(total.C * inverse, total.D * inverse));
    }

    /// <summary>Stores what a split leaves.</summary>
    public static void StorePartial(
        AttentionArguments a, AttentionUnit unit, int split, AttentionSums sums, AttentionColumnPair softmax, int groups)
    {
        int column = (Pinned.Int(Warp.LaneIdx) & 3) * 2, slot = unit.Row.PartialStart + split - unit.RowSplit;
        long even = GpuAttention.PartialAddress(a, slot, unit.FirstHead + column), odd = GpuAttention.PartialAddress(a, slot, unit.FirstHead + column + 1);
        bool hasEven = column < unit.HeadCount, hasOdd = column + 1 < unit.HeadCount;
        StorePartial(a, even, odd, hasEven, hasOdd, 0, sums.A);
        if (groups > 1) StorePartial(a, even, odd, hasEven, hasOdd, 64, sums.B);
        if (Warp.LaneIdx >= 4) return;
        if (hasEven) StoreTail(a, even, softmax.Even);
        if (hasOdd) StoreTail(a, odd, softmax.Odd);
    }

    /// <summary>Stores the outputs of the unit's heads.</summary>
    public static void StoreOutputs(AttentionArguments a, AttentionUnit unit, AttentionSums totals, AttentionColumnPair whole, int groups)
    {
        // Averages of halves do not exceed the largest half.
        Float4 inverses = new() { A = Float32.Divide(1, whole.Even.Sum), B = Float32.Divide(1, whole.Odd.Sum) };
        StoreOutputs(a, unit, 0, totals.A, inverses);
        if (groups > 1) StoreOutputs(a, unit, 64, totals.B, inverses);
    }

    /// <summary>Stores two neighbouring elements of a head's output.</summary>
    public static void StoreOutput(AttentionArguments a, int row, int head, int dim, uint halves) =>
        Global.StoreInt(a.Y + CoreTiles.OperandOffset(row, (head * a.HeadDim) + dim, a.YStride, a.YBlockRows), (int)halves);

    private static PartialBatch LoadBatch(AttentionArguments a, AttentionMerge job, int split, int head, int dim) => new()
    {
        A = Load(a, job, split, head, dim),
        B = Load(a, job, split + 1, head, dim),
        C = Load(a, job, split + 2, head, dim),
        D = Load(a, job, split + 3, head, dim),
    };

    private static Partial Load(AttentionArguments a, AttentionMerge job, int split, int head, int dim)
    {
        Partial partial = default;
        if (split >= job.Splits) return partial;
        long address = GpuAttention.PartialAddress(a, job.FirstSlot + split, head), tail = address + (a.HeadDim * sizeof(float));
        partial.Sums = Global.LoadFloat4(address + (dim * sizeof(float)));
        partial.Tail = Global.LoadFloat4(tail);
        return partial;
    }

    private static Float4 AddBatch(Float4 total, ref AttentionSoftmax whole, PartialBatch batch, int count)
    {
        if (count > 0) total = Add(total, ref whole, batch.A);
        if (count > 1) total = Add(total, ref whole, batch.B);
        if (count > 2) total = Add(total, ref whole, batch.C);
        if (count > 3) total = Add(total, ref whole, batch.D);
        return total;
    }

    private static Float4 Add(Float4 total, ref AttentionSoftmax whole, Partial partial)
    {
        AttentionJoin join = Join(whole, partial.Tail.A, partial.Tail.B);
        float old = join.Old, factor = join.Factor;
        whole = join.Whole;
        return new Float4
        {
            A = Float32.Fma(total.A, old, partial.Sums.A * factor),
            B = Float32.Fma(total.B, old, partial.Sums.B * factor),
            C = Float32.Fma(total.C, old, partial.Sums.C * factor),
            D = Float32.Fma(total.D, old, partial.Sums.D * factor),
        };
    }

    private static void StorePartial(AttentionArguments a, long even, long odd, bool hasEven, bool hasOdd, int dim, Columns64 sums)
    {
        StorePartial(a, even, odd, hasEven, hasOdd, dim, sums.A);
        StorePartial(a, even, odd, hasEven, hasOdd, dim + 16, sums.B);
        StorePartial(a, even, odd, hasEven, hasOdd, dim + 32, sums.C);
        StorePartial(a, even, odd, hasEven, hasOdd, dim + 48, sums.D);
    }

    private static void StorePartial(AttentionArguments a, long even, long odd, bool hasEven, bool hasOdd, int dim, Float4 sum)
    {
        dim += Pinned.Int(Warp.LaneIdx) >> 2;
        long offset = dim * sizeof(float), next = offset + (8 * sizeof(float));
        if (hasEven && dim < a.HeadDim) Global.StoreFloat(even + offset, sum.A);
        if (hasOdd && dim < a.HeadDim) Global.StoreFloat(odd + offset, sum.B);
        if (hasEven && dim + 8 < a.HeadDim) Global.StoreFloat(even + next, sum.C);
        if (hasOdd && dim + 8 < a.HeadDim) Global.StoreFloat(odd + next, sum.D);
    }

    private static void StoreTail(AttentionArguments a, long partial, AttentionSoftmax softmax) => Global.StoreFloat4(
        partial + (a.HeadDim * sizeof(float)), new Float4 { A = softmax.Max * a.Factor, B = softmax.Sum });

    private static void StoreOutputs(AttentionArguments a, AttentionUnit unit, int dim, Columns64 totals, Float4 inverses)
    {
        StoreOutputs(a, unit, dim, totals.A, inverses);
        StoreOutputs(a, unit, dim + 16, totals.B, inverses);
        StoreOutputs(a, unit, dim + 32, totals.C, inverses);
        StoreOutputs(a, unit, dim + 48, totals.D, inverses);
    }

    /// <summary>Transposed, a lane has neighbouring elements of one head.</summary>
    private static void StoreOutputs(AttentionArguments a, AttentionUnit unit, int dim, Float4 total, Float4 inverses)
    {
        uint upper = TensorCore.Transpose(Halves.Round(total.A * inverses.A, total.B * inverses.B));
        uint lower = TensorCore.Transpose(Halves.Round(total.C * inverses.A, total.D * inverses.B));
        int lane = Pinned.Int(Warp.LaneIdx), head = lane >> 2;
        dim += (lane & 3) * 2;
        if (head < unit.HeadCount && dim < a.HeadDim) StoreOutput(a, unit.RowNumber, unit.FirstHead + head, dim, upper);
        if (head < unit.HeadCount && dim + 8 < a.HeadDim) StoreOutput(a, unit.RowNumber, unit.FirstHead + head, dim + 8, lower);
    }

    /// <summary>Four elements of what a split leaves for a head, its maximum and its sum of weights.</summary>
    /// <remarks>ILGPU takes structs for one that have the same registers, whatever structs these stand in: eight are no other struct's here.</remarks>
    private struct Partial
    {
        public Float4 Sums, Tail;
    }

    private struct PartialBatch
    {
        public Partial A, B, C, D;
    }
}
