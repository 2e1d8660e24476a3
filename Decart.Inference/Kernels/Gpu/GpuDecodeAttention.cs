using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Attention of single tokens at the speed of memory (sm_90). A warp takes units of the work list in turn (<see cref="AttentionUnit"/>): one read of keys
/// and values serves the query heads that share them. Each warp has a ring of stages of its own, which it fills ahead of need, across its units, and,
/// with what earlier steps left, before the kernel in front has ended.
/// </summary>
/// <remarks>
/// A row's bits: in a split (<see cref="GpuSplits"/>) maxima and sums are brought up to date for every 64 keys, products are chains over 16 dimensions or
/// keys at a time in ascending order, and splits are merged in order: by the warp where a unit is all of them, and else, from memory, by whoever is
/// done last: the warp, or, when it has nothing else to do, its group.
/// </remarks>
internal static class GpuDecodeAttention
{
    private const int Lanes = 32, Warps = 8, StageGroupBytes = AttentionCursor.StageKeys * 128, MaxSlots = 24, JobBytes = 32;

    /// <summary>For heads of up to 64 and 128 elements. A group for each multiprocessor, or fewer.</summary>
    public static readonly GpuKernel<AttentionArguments> Heads64 = Create(Run64, 1), Heads128 = Create(Run128, 2);

    /// <summary>Stages of a group's memory.</summary>
    private static int AllSlots(int groups) => 48 / groups;

    /// <summary>Stages of a warp: the more the fewer work.</summary>
    private static int Slots(int active, int groups)
    {
        int slots = AllSlots(groups) / active;
        return slots < MaxSlots ? slots : MaxSlots;
    }

    private static GpuKernel<AttentionArguments> Create(Action<AttentionArguments> run, int groups) => new(run, Warps * Lanes)
    {
        MinArchitecture = 90,
        StartsEarly = true,
        SharedBytes = AllSlots(groups) * groups * StageGroupBytes,
    };

    private static void Run64(AttentionArguments a) => Run(a, 1);

    private static void Run128(AttentionArguments a) => Run(a, 2);

    /// <param name="a">The operation.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    private static void Run(AttentionArguments a, int groups)
    {
        GridDependency.LaunchDependents();
        GpuAttentionHeader header = GpuAttentionWork.LoadHeader(a.Work);
        int warp = Group.IdxX >> 5, warps = Group.DimX >> 5, active = header.ActiveWarps < warps ? header.ActiveWarps : warps;
        if (a.HeadDim < 64 * groups) ClearPadding(groups);
        AttentionMerge pending = default;
        if (warp < active) pending = AttendUnits(a, header, warp, active, groups);
        Group.Barrier();
        int jobs = Shared.Base();
        if (Warp.LaneIdx == 0)
        {
            Shared.Store16(jobs + (warp * JobBytes), new UInt4 { A = (uint)pending.Row, B = (uint)pending.FirstSlot, C = (uint)pending.Splits, D = (uint)pending.FirstHead });
            Shared.StoreInt(jobs + (warp * JobBytes) + 16, pending.Heads);
        }
        Group.Barrier();
        // The jobs side by side, as there may be one or one for each warp.
        int group = a.Heads / a.KvHeads, fours = (group < AttentionUnit.Heads ? group : AttentionUnit.Heads) * (a.HeadDim >> 2);
        for (int i = Group.IdxX; i < warps * fours; i += Group.DimX)
        {
            int place = jobs + (i / fours * JobBytes);
            UInt4 words = Shared.Load16(place);
            AttentionMerge job = new() { Row = (int)words.A, FirstSlot = (int)words.B, Splits = (int)words.C, FirstHead = (int)words.D };
            job.Heads = Shared.LoadInt(place + 16);
            GpuAttentionMerge.MergeFour(a, job, i % fours);
        }
        GridDependency.Wait();
    }

    /// <summary>What is behind the ends of heads is multiplied, with zeros, so it must be numbers.</summary>
    private static void ClearPadding(int groups)
    {
        int end = Shared.Base() + (AllSlots(groups) * groups * StageGroupBytes);
        for (int address = Shared.Base() + (16 * Group.IdxX); address < end; address += 16 * Group.DimX) Shared.Store16(address, default);
        Group.Barrier();
    }

    /// <summary>Returns what is left for the group to merge, of no heads if nothing is.</summary>
    private static AttentionMerge AttendUnits(AttentionArguments a, GpuAttentionHeader header, int warp, int active, int groups)
    {
        int slots = Slots(active, groups), slotBytes = groups * StageGroupBytes, memory = Shared.Base() + (warp * slots * slotBytes);
        int units = header.Items * AttentionUnit.PerItem(a.Heads, a.KvHeads), stride = active * Grid.DimX, number = (warp * Grid.DimX) + Grid.IdxX, slot = 0;
        AttentionMerge pending = default;
        if (number >= units) return pending;
        AttentionUnit unit = AttentionUnit.Load(a, header, number);
        AttentionCursor cursor = AttentionCursor.Create(a, header, unit, number, units, stride);
        for (int i = 0; i < slots - 1; i++)
        {
            AttentionCursor.Fill(a, ref cursor, memory + (i * slotBytes), groups);
            AsyncCopy.Commit();
        }
        while (number < units)
        {
            AttentionQuery even = LoadQuery(a, unit, 0), odd = LoadQuery(a, unit, 1);
            GridDependency.Wait();
            AttentionQueries queries = AttentionColumns.LoadQueries(a, unit, groups);
            AttentionSums totals = default;
            AttentionColumnPair whole = new() { Even = AttentionSoftmax.None, Odd = AttentionSoftmax.None };
            int tile = unit.Begin;
            for (int split = unit.Split; split < unit.EndSplit; split++)
            {
                AttentionSums sums = default;
                AttentionColumnPair softmax = new() { Even = AttentionSoftmax.None, Odd = AttentionSoftmax.None };
                int stop = GpuSplits.Start(split + 1);
                if (stop > unit.Stop) stop = unit.Stop;
                for (; tile < stop; tile += AttentionScores.TileKeys)
                {
                    Columns64 products = default;
                    AttentionWeights weights = default;
                    for (int phase = 0; phase < 4; phase++)
                    {
                        Await(slots);
                        Warp.Barrier();
                        // The stage that was read last is free.
                        AttentionCursor.Fill(a, ref cursor, memory + ((slot == 0 ? slots - 1 : slot - 1) * slotBytes), groups);
                        AsyncCopy.Commit();
                        int stage = memory + (slot * slotBytes);
                        slot = slot + 1 == slots ? 0 : slot + 1;
                        if (phase == 0)
                        {
                            AttentionColumns.Products(stage, queries, out products.A, out products.B, groups);
                        }
                        else if (phase == 1)
                        {
                            AttentionColumns.Products(stage, queries, out products.C, out products.D, groups);
                            bool masks = tile + AttentionScores.TileKeys > unit.Row.Position + 1 || tile < unit.FirstKey;
                            weights = AttentionColumns.Weigh(a, products, tile, masks, even, odd, ref softmax, out Float4 factors);
                            sums = AttentionColumns.Scale(sums, factors, groups);
                        }
                        else
                        {
                            sums = AttentionColumns.AddValues(sums, stage, phase == 2 ? weights.First : weights.Second, groups);
                        }
                    }
                }
                softmax.Even.Sum = AttentionColumns.ColumnSum(softmax.Even.Sum);
                softmax.Odd.Sum = AttentionColumns.ColumnSum(softmax.Odd.Sum);
                if (unit.Items > 1)
                {
                    GpuAttentionMerge.StorePartial(a, unit, split, sums, softmax, groups);
                }
                else
                {
                    Float4 old = GpuAttentionMerge.Join(a, ref whole, softmax, out Float4 factors);
                    totals = AttentionColumns.Merge(totals, old, sums, factors, groups);
                }
            }
            if (unit.Items == 1)
            {
                GpuAttentionMerge.StoreOutputs(a, unit, totals, whole, groups);
            }
            else if (GpuAttentionMerge.IsLast(a, header, unit))
            {
                // Others of the group may have nothing else to do when this was the warp's last unit.
                if (number + stride < units) GpuAttentionMerge.Merge(a, GpuAttentionMerge.JobOf(unit));
                else pending = GpuAttentionMerge.JobOf(unit);
            }
            number += stride;
            if (number < units) unit = AttentionUnit.Load(a, header, number);
        }
        AsyncCopy.Wait(0);
        return pending;
    }

    /// <summary>Waits for the stage that is read next: all but the <paramref name="slots"/> - 2 that were started last.</summary>
    private static void Await(int slots)
    {
        if (slots == 3) AsyncCopy.Wait(1);
        else if (slots == 6) AsyncCopy.Wait(4);
        else if (slots == 12) AsyncCopy.Wait(10);
        else AsyncCopy.Wait(22);
    }

    private static AttentionQuery LoadQuery(AttentionArguments a, AttentionUnit unit, int column)
    {
        int head = ((Warp.LaneIdx & 3) * 2) + column;
        return AttentionQuery.Load(a, unit.Row.Position, unit.FirstHead + head, head < unit.HeadCount);
    }
}
