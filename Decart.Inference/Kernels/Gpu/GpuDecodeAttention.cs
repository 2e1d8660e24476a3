using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Attention of single tokens at the speed of memory (sm_90). A team of four warps takes units of the work list in turn (<see cref="AttentionUnit"/>): one
/// read of keys and values serves the query heads that share them. Each team has a ring of tiles of its own, which it fills ahead of need, across its
/// units, and, with what earlier steps left, before the kernel in front has ended. It meets once a tile, to exchange products.
/// </summary>
/// <remarks>
/// A row's bits: in a split (<see cref="GpuSplits"/>) maxima and sums are brought up to date for every 64 keys, products are chains over 16 dimensions or
/// keys at a time in ascending order, and splits are merged in order: in registers where a unit is all of them, and else, from memory, each quarter of the
/// dimensions by the warp that is done with it last.
/// </remarks>
internal static class GpuDecodeAttention
{
    /// <summary>Teams of a group.</summary>
    public const int Teams = 2;

    private const int TeamThreads = 32 * AttentionColumns.TeamWarps, RingBytes = 96 * 1024, TeamBytes = RingBytes + (2 * AttentionColumns.ExchangeBytes);

    /// <summary>Stages of a ring of codes, for heads of up to 64 and 128 elements.</summary>
    private const int NarrowStages = 12, WideStages = 6;

    /// <summary>For heads of up to 64 and 128 elements. A group for each multiprocessor, or fewer.</summary>
    public static readonly GpuKernel<AttentionArguments> Heads64 = Create(Run64), Heads128 = Create(Run128);

    /// <summary>The same for keys and values that are <see cref="Memory.KvCodes"/>, which are widened in registers.</summary>
    public static readonly GpuKernel<AttentionArguments> Codes64 = Create(RunCodes64, TeamBytesOfCodes(1)), Codes128 = Create(RunCodes128, TeamBytesOfCodes(2));

    private static GpuKernel<AttentionArguments> Create(Action<AttentionArguments> run, int teamBytes = TeamBytes) => new(run, Teams * TeamThreads)
    {
        MinArchitecture = 90,
        StartsEarly = true,
        SharedBytes = Teams * teamBytes,
    };

    private static int TeamBytesOfCodes(int groups) =>
        (AttentionCursor.StageBytes(groups, codes: true) * (groups > 1 ? WideStages : NarrowStages)) + (2 * AttentionColumns.ExchangeBytes);

    private static void Run64(AttentionArguments a) => Run(a, 1, codes: false);

    private static void Run128(AttentionArguments a) => Run(a, 2, codes: false);

    private static void RunCodes64(AttentionArguments a) => Run(a, 1, codes: true);

    private static void RunCodes128(AttentionArguments a) => Run(a, 2, codes: true);

    /// <param name="a">The operation.</param>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    private static void Run(AttentionArguments a, int groups, bool codes)
    {
        GridDependency.LaunchDependents();
        // By a shuffle, so that the driver's compiler knows it to be the same for all lanes, and what depends on it.
        int warp = Warp.Shuffle(Group.IdxX >> 5, 0), team = warp >> 2, stride = (Group.DimX >> 7) * Grid.DimX, number = (team * Grid.DimX) + Grid.IdxX;
        GpuAttentionHeader header = GpuAttentionWork.LoadHeader(a.Work);
        int teamBytes = codes ? TeamBytesOfCodes(groups) : TeamBytes;
        if (a.HeadDim < 64 * groups) ClearPadding(teamBytes);
        int units = header.Items * AttentionUnit.PerItem(a.Heads, a.KvHeads);
        if (number < units) AttendUnits(a, header, warp & 3, team, teamBytes, number, units, stride, groups, codes);
        GridDependency.Wait();
    }

    /// <summary>What is behind the ends of heads is multiplied, with zeros, so it must be numbers.</summary>
    private static void ClearPadding(int teamBytes)
    {
        int end = Shared.Base() + (Teams * teamBytes);
        for (int address = Shared.Base() + (16 * Group.IdxX); address < end; address += 16 * Group.DimX) Shared.Store16(address, default);
        Group.Barrier();
    }

    private static void AttendUnits(AttentionArguments a, GpuAttentionHeader header, int rank, int team, int teamBytes, int number, int units, int stride, int groups, bool codes)
    {
        int memory = Shared.Base() + (team * teamBytes), stageBytes = AttentionCursor.StageBytes(groups, codes), end = memory + teamBytes - (2 * AttentionColumns.ExchangeBytes);
        AttentionUnit unit = AttentionUnit.Load(a, header, number);
        AttentionCursor cursor = AttentionCursor.Create(a, header, unit, rank, number, units, stride, codes);
        int stage = memory;
        for (; stage < end && AttentionCursor.IsOld(cursor); stage += stageBytes) Fill(a, ref cursor, stage, groups, codes);
        AttentionCursor.Prefetch(a, cursor, groups, codes);
        GridDependency.Wait();
        AttentionQueries queries = AttentionColumns.LoadQueries(a, unit, groups);
        for (; stage < end; stage += stageBytes) Fill(a, ref cursor, stage, groups, codes);

        // The tile that was read last; there is none yet.
        int exchange = end, before = -1;
        stage = memory;
        if (codes) Await(isFirst: true, groups, codes);
        while (number < units)
        {
            AttentionQuery even = LoadQuery(a, unit, 0), odd = LoadQuery(a, unit, 1);
            AttentionSums totals = default;
            AttentionColumnPair whole = new() { Even = AttentionSoftmax.None, Odd = AttentionSoftmax.None };
            int tile = unit.Begin;
            Float4 own = default;
            if (codes) own = Multiply(stage, rank, queries, groups, codes);
            for (int split = unit.Split; tile < unit.Stop; split++)
            {
                AttentionSums sums = default;
                AttentionColumnPair softmax = new() { Even = AttentionSoftmax.None, Odd = AttentionSoftmax.None };
                int stop = GpuSplits.Start(split + 1);
                if (stop > unit.Stop) stop = unit.Stop;
                for (; tile < stop; tile += AttentionScores.TileKeys)
                {
                    if (!codes)
                    {
                        Await(isFirst: before < 0, groups, codes);
                        own = Multiply(stage, rank, queries, groups, codes);
                    }
                    AttentionColumns.Publish(exchange, rank, own);
                    NamedBarrier.Wait(1 + team, TeamThreads);
                    // All have read the tile before.
                    if (before >= 0) Fill(a, ref cursor, before, groups, codes);
                    if (codes) Await(isFirst: false, groups, codes);
                    bool masks = tile + AttentionScores.TileKeys > unit.Row.Position + 1 || tile < unit.FirstKey;
                    Columns64 scores = AttentionColumns.Score(a, AttentionColumns.Collect(exchange), tile, masks, even, odd);
                    int next = stage + stageBytes == end ? memory : stage + stageBytes;
                    if (codes)
                    {
                        // The next tile's products beside this one's weights, none of which waits for the other; behind a unit's last tile they are of no use.
                        own = Multiply(next, rank, queries, groups, codes);
                    }
                    AttentionWeights weights = AttentionColumns.Weigh(a, scores, ref softmax, out Float4 factors);
                    sums = AttentionColumns.Scale(sums, factors, groups);
                    sums = codes
                        ? AttentionColumns.AddCodes(sums, stage, rank, weights, groups)
                        : AttentionColumns.AddValues(sums, stage + AttentionCursor.ValuesOffset(groups, codes), rank, weights, groups);
                    before = stage;
                    stage = next;
                    exchange = exchange == end ? end + AttentionColumns.ExchangeBytes : end;
                }
                softmax.Even.Sum = AttentionColumns.ColumnSum(softmax.Even.Sum);
                softmax.Odd.Sum = AttentionColumns.ColumnSum(softmax.Odd.Sum);
                if (unit.Items > 1)
                {
                    GpuAttentionMerge.StorePartial(a, unit, split, rank, sums, softmax, groups);
                }
                else
                {
                    Float4 old = GpuAttentionMerge.Join(a, ref whole, softmax, out Float4 factors);
                    totals = AttentionColumns.Merge(totals, old, sums, factors, groups);
                }
            }
            if (unit.Items == 1) GpuAttentionMerge.StoreOutputs(a, unit, rank, totals, whole, groups);
            else if (GpuAttentionMerge.IsLast(a, header, unit, rank)) GpuAttentionMerge.Merge(a, unit, rank, groups);
            number += stride;
            if (number < units)
            {
                unit = AttentionUnit.Load(a, header, number);
                queries = AttentionColumns.LoadQueries(a, unit, groups);
            }
        }
    }

    /// <summary>Starts the copies of the next tile, as a group of their own.</summary>
    private static void Fill(AttentionArguments a, ref AttentionCursor cursor, int stage, int groups, bool codes)
    {
        AttentionCursor.Fill(a, ref cursor, stage, groups, codes);
        AsyncCopy.Commit();
    }

    /// <summary>The products of a warp's keys of a tile.</summary>
    private static Float4 Multiply(int stage, int rank, AttentionQueries queries, int groups, bool codes)
    {
        int keys = stage + AttentionCursor.WarpOffset(rank, groups, codes);
        return codes
            ? AttentionColumns.ProductsOfCodes(keys, AttentionCursor.ScalesOf(stage, rank * AttentionCursor.WarpKeys, groups), queries, groups)
            : AttentionColumns.Products(keys, queries, groups);
    }

    /// <summary>Waits for what the warp has copied of the first tile, or of the next one: all but the tiles behind it, of which there is one more at first.</summary>
    private static void Await(bool isFirst, int groups, bool codes)
    {
        if (codes && groups == 1)
        {
            if (isFirst) AsyncCopy.Wait(NarrowStages - 1);
            else AsyncCopy.Wait(NarrowStages - 2);
        }
        else if (codes)
        {
            if (isFirst) AsyncCopy.Wait(WideStages - 1);
            else AsyncCopy.Wait(WideStages - 2);
        }
        else if (groups > 1)
        {
            if (isFirst) AsyncCopy.Wait(2);
            else AsyncCopy.Wait(1);
        }
        else
        {
            if (isFirst) AsyncCopy.Wait(5);
            else AsyncCopy.Wait(4);
        }
        Warp.Barrier();
    }

    private static AttentionQuery LoadQuery(AttentionArguments a, AttentionUnit unit, int column)
    {
        int head = ((Warp.LaneIdx & 3) * 2) + column;
        return AttentionQuery.Load(a, unit.Row.Position, unit.FirstHead + head, head < unit.HeadCount);
    }
}
