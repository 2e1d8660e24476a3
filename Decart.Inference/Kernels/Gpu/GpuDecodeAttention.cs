using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Attention of single tokens at the speed of memory (sm_90). A team of four warps takes units of the work list in turn (<see cref="AttentionUnit"/>): one
/// read of keys and values serves the query heads that share them. Each team has a ring of tiles, which a warp of its own fills ahead of need, across its
/// units, and, with what earlier steps left, before the kernel in front has ended. The team meets once a tile, to exchange products.
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

    private const int Lanes = 32, TeamThreads = Lanes * AttentionColumns.TeamWarps, ThreadsPerTeam = TeamThreads + Lanes;

    /// <summary>For heads of up to 64 and 128 elements. A group for each multiprocessor, or fewer.</summary>
    public static readonly GpuKernel<AttentionArguments> Heads64 = Create<Halves64>(Run64), Heads128 = Create<Halves128>(Run128);

    /// <summary>The same for keys and values that are <see cref="Memory.KvCodes"/>, which are widened in registers.</summary>
    public static readonly GpuKernel<AttentionArguments> Codes64 = Create<KvCodes64>(RunCodes64), Codes128 = Create<KvCodes128>(RunCodes128);

    private static GpuKernel<AttentionArguments> Create<TShape>(Action<AttentionArguments> run)
        where TShape : IAttentionRing => new(run, Teams * ThreadsPerTeam)
        {
            MinArchitecture = 90,
            StartsEarly = true,
            SharedBytes = Teams * TeamBytes<TShape>(),
        };

    /// <summary>Threads of a group: all teams, or one where the device has no room for more.</summary>
    public static int GroupSize(IGpuDevice device) => (device.MaxGroupSize < Teams * ThreadsPerTeam ? 1 : Teams) * ThreadsPerTeam;

    private static void Run64(AttentionArguments a) => Run<Halves64>(a);

    private static void Run128(AttentionArguments a) => Run<Halves128>(a);

    private static void RunCodes64(AttentionArguments a) => Run<KvCodes64>(a);

    private static void RunCodes128(AttentionArguments a) => Run<KvCodes128>(a);

    private static void Run<TShape>(AttentionArguments a)
        where TShape : IAttentionRing
    {
        GridDependency.LaunchDependents();
        // By a shuffle, so that the driver's compiler knows it to be the same for all lanes, and what depends on it.
        int warp = Warp.Shuffle(Group.IdxX >> 5, 0), teams = Group.DimX < Teams * ThreadsPerTeam ? 1 : Teams, copiers = teams * AttentionColumns.TeamWarps;
        int team = warp < copiers ? warp >> 2 : warp - copiers, stride = teams * Grid.DimX, number = (team * Grid.DimX) + Grid.IdxX;
        GpuAttentionHeader header = GpuAttentionWork.LoadHeader(a.Work);
        Prepare<TShape>(a, teams);
        int units = header.Items * AttentionUnit.PerItem(a.Heads, a.KvHeads), memory = TeamMemory<TShape>(team);
        if (number < units)
        {
            if (warp >= copiers) Copy(a, header, Ring<TShape>.At(memory), number, units, stride);
            else Attend(a, header, Ring<TShape>.At(memory), memory + Ring<TShape>.Bytes, warp & 3, team, number, units, stride);
        }
        GridDependency.Wait();
    }

    /// <summary>Makes the rings. What is behind the ends of heads is multiplied, with zeros, so it must be numbers.</summary>
    private static void Prepare<TShape>(AttentionArguments a, int teams)
        where TShape : IAttentionRing
    {
        if (Group.IdxX < teams) Ring<TShape>.Initialize(TeamMemory<TShape>(Group.IdxX));
        for (int team = 0; team < teams && a.HeadDim < 64 * TShape.Groups; team++)
        {
            int memory = TeamMemory<TShape>(team), end = memory + (TShape.Stages * TShape.StageBytes);
            for (int address = memory + (16 * Group.IdxX); address < end; address += 16 * Group.DimX) Shared.Store16(address, default);
        }
        Group.Barrier();
    }

    /// <summary>What the warp that copies does: all tiles of its team's units.</summary>
    private static void Copy<TShape>(AttentionArguments a, GpuAttentionHeader header, Ring<TShape> ring, int number, int units, int stride)
        where TShape : IAttentionRing
    {
        AttentionCursor<TShape> cursor = AttentionCursor<TShape>.Create(a, header, number, units, stride);
        bool waits = true;
        while (AttentionCursor<TShape>.Exists(cursor))
        {
            if (waits && !AttentionCursor<TShape>.IsOld(cursor))
            {
                AttentionCursor<TShape>.Prefetch(a, cursor);
                GridDependency.Wait();
                waits = false;
            }
            Ring<TShape>.AwaitEmpty(ring);
            AttentionCursor<TShape>.Fill(a, ref cursor, Ring<TShape>.Stage(ring));
            AsyncCopy.Arrive(Ring<TShape>.Full(ring));
            ring = Ring<TShape>.Next(ring);
        }
    }

    /// <summary>What a warp of a team does.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="header">The work list's.</param>
    /// <param name="ring">The team's ring.</param>
    /// <param name="exchange">Where products are exchanged, in one of two places in turn.</param>
    /// <param name="rank">The number of the warp in the team.</param>
    /// <param name="team">The team.</param>
    /// <param name="number">Its first unit.</param>
    /// <param name="units">Where units end.</param>
    /// <param name="stride">From one of its units to the next.</param>
    private static void Attend<TShape>(AttentionArguments a, GpuAttentionHeader header, Ring<TShape> ring, int exchange, int rank, int team, int number, int units, int stride)
        where TShape : IAttentionRing
    {
        int otherExchange = exchange + AttentionColumns.ExchangeBytes;
        AttentionUnit unit = AttentionUnit.Load(a, header, number);
        GridDependency.Wait();
        while (number < units)
        {
            AttentionQueries queries = AttentionColumns.LoadQueries(a, unit, TShape.Groups);
            AttentionQuery even = LoadQuery(a, unit, 0), odd = LoadQuery(a, unit, 1);
            AttentionSums totals = default;
            AttentionColumnPair whole = new() { Even = AttentionSoftmax.None, Odd = AttentionSoftmax.None };
            int tile = unit.Begin;
            Ring<TShape>.Await(ring);
            Float4 own = Multiply(ring, rank, queries);
            for (int split = unit.Split; tile < unit.Stop; split++)
            {
                AttentionSums sums = default;
                AttentionColumnPair softmax = new() { Even = AttentionSoftmax.None, Odd = AttentionSoftmax.None };
                int stop = GpuSplits.Start(split + 1);
                if (stop > unit.Stop) stop = unit.Stop;
                for (; tile < stop; tile += AttentionScores.TileKeys)
                {
                    AttentionColumns.Publish(exchange, rank, own);
                    NamedBarrier.Wait(1 + team, TeamThreads);
                    Ring<TShape> next = Ring<TShape>.Next(ring);
                    if (tile + AttentionScores.TileKeys < unit.Stop) Ring<TShape>.Await(next);
                    bool masks = tile + AttentionScores.TileKeys > unit.Row.Position + 1 || tile < unit.FirstKey;
                    Columns64 scores = AttentionColumns.Score(a, AttentionColumns.Collect(exchange), tile, masks, even, odd);
                    // The next tile's products beside this one's weights, none of which waits for the other. Behind a unit's last tile they are of no use, whatever lies or arrives there.
                    own = Multiply(next, rank, queries);
                    AttentionWeights weights = AttentionColumns.Weigh(a, scores, ref softmax, out Float4 factors);
                    sums = AttentionColumns.Scale(sums, factors, TShape.Groups);
                    sums = TShape.HasCodes
                        ? AttentionColumns.AddCodes(sums, Ring<TShape>.Stage(ring), rank, weights, TShape.Groups)
                        : AttentionColumns.AddValues(sums, Ring<TShape>.Stage(ring) + AttentionStage.ValuesOffset(TShape.Groups, codes: false), rank, weights, TShape.Groups);
                    Ring<TShape>.Release(ring);
                    ring = next;
                    (exchange, otherExchange) = (otherExchange, exchange);
                }
                softmax.Even.Sum = AttentionColumns.ColumnSum(softmax.Even.Sum);
                softmax.Odd.Sum = AttentionColumns.ColumnSum(softmax.Odd.Sum);
                if (unit.Items > 1)
                {
                    GpuAttentionMerge.StorePartial(a, unit, split, rank, sums, softmax, TShape.Groups);
                }
                else
                {
                    Float4 old = GpuAttentionMerge.Join(a, ref whole, softmax, out Float4 factors);
                    totals = AttentionColumns.Merge(totals, old, sums, factors, TShape.Groups);
                }
            }
            if (unit.Items == 1) GpuAttentionMerge.StoreOutputs(a, unit, rank, totals, whole, TShape.Groups);
            else if (GpuAttentionMerge.IsLast(a, header, unit, rank)) GpuAttentionMerge.Merge(a, unit, rank, TShape.Groups);
            number += stride;
            if (number < units) unit = AttentionUnit.Load(a, header, number);
        }
    }

    /// <summary>The products of a warp's keys of a tile.</summary>
    private static Float4 Multiply<TShape>(Ring<TShape> ring, int rank, AttentionQueries queries)
        where TShape : IAttentionRing
    {
        int stage = Ring<TShape>.Stage(ring), keys = stage + AttentionStage.WarpOffset(rank, TShape.Groups, TShape.HasCodes);
        return TShape.HasCodes
            ? AttentionColumns.ProductsOfCodes(keys, AttentionStage.ScalesOf(stage, rank * AttentionStage.WarpKeys, TShape.Groups), queries, TShape.Groups)
            : AttentionColumns.Products(keys, queries, TShape.Groups);
    }

    private static AttentionQuery LoadQuery(AttentionArguments a, AttentionUnit unit, int column)
    {
        int head = ((Warp.LaneIdx & 3) * 2) + column;
        return AttentionQuery.Load(a, unit.Row.Position, unit.FirstHead + head, head < unit.HeadCount);
    }

    private static int TeamMemory<TShape>(int team)
        where TShape : IAttentionRing => Shared.Base() + (team * TeamBytes<TShape>());

    /// <summary>A ring, and two places to exchange products.</summary>
    private static int TeamBytes<TShape>()
        where TShape : IAttentionRing => (Ring<TShape>.Bytes + (2 * AttentionColumns.ExchangeBytes) + Shared.Alignment - 1) & -Shared.Alignment;

    internal struct Halves64 : IAttentionRing
    {
        public static int Groups => 1;

        public static bool HasCodes => false;

        public static int Stages => 6;

        public static int StageBytes => AttentionStage.Bytes(1, codes: false);

        public static int Writers => Lanes;

        public static int Readers => AttentionColumns.TeamWarps;
    }

    internal struct Halves128 : IAttentionRing
    {
        public static int Groups => 2;

        public static bool HasCodes => false;

        public static int Stages => 3;

        public static int StageBytes => AttentionStage.Bytes(2, codes: false);

        public static int Writers => Lanes;

        public static int Readers => AttentionColumns.TeamWarps;
    }

    internal struct KvCodes64 : IAttentionRing
    {
        public static int Groups => 1;

        public static bool HasCodes => true;

        public static int Stages => 12;

        public static int StageBytes => AttentionStage.Bytes(1, codes: true);

        public static int Writers => Lanes;

        public static int Readers => AttentionColumns.TeamWarps;
    }

    internal struct KvCodes128 : IAttentionRing
    {
        public static int Groups => 2;

        public static bool HasCodes => true;

        public static int Stages => 6;

        public static int StageBytes => AttentionStage.Bytes(2, codes: true);

        public static int Writers => Lanes;

        public static int Readers => AttentionColumns.TeamWarps;
    }
}
