using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>What the division of work must know of a weight of few bits.</summary>
internal interface IPackedTiles
{
    /// <summary>Bytes of a piece of a tile.</summary>
    int PieceBytes { get; }

    /// <summary>The most tiles of a pass over blocks of as many rows of x.</summary>
    int MaxTiles(int blockRows);
}

/// <summary>How <see cref="GpuRingMatMul{TSums}"/> divides its work among groups, one a multiprocessor. It decides on speed, never on bits.</summary>
/// <param name="BlockRows">Rows of a block of x, of which a group multiplies one at a time.</param>
/// <param name="Blocks">Blocks of x.</param>
/// <param name="Groups">Groups of the launch.</param>
internal readonly record struct GpuRingPlan(int BlockRows, int Blocks, int Groups)
{
    /// <summary>Tiles whose products take a warp group as long as those of one.</summary>
    private const int WarpGroupTiles = 4;

    /// <summary>
    /// Cycles of a pass besides its products, and bytes a cycle that a multiprocessor gets from the second-level cache; both as measured on an H100, where they
    /// explain times to a tenth.
    /// </summary>
    private const int PassCycles = 3000, CacheBytes = 42;

    /// <summary>Cycles in which a warp group makes halves, or bytes, of a piece of a packed weight that products do not hide: 40 to 150 on an H200, as formats differ.</summary>
    private const int UnpackCycles = 100;

    /// <summary>Three quarters of the largest block, for batches that it is enough for: see <see cref="Sums192"/>. There is one such block alone.</summary>
    public const int ThreeQuarterRows = 192;

    /// <summary>Rows of a block as they lie in memory: a power of two.</summary>
    public int OperandRows => CoreTiles.OperandBlockRows(BlockRows);

    /// <summary>Groups that share the weight, each taking neighbouring tiles, for each block of x; 0: groups take passes in turn.</summary>
    public int GroupsPerBlock { get; init; }

    /// <summary>The most tiles of a pass.</summary>
    public int TilesPerPass { get; init; } = GpuRingMatMulPass.MaxTiles;

    /// <summary>Tiles that shares are multiples of.</summary>
    public int TilesPerUnit { get; init; } = 1;

    /// <summary>
    /// Neighbouring groups that are launched as clusters. Two multiprocessors that read the same bytes at about the same time get them from the second-level
    /// cache at once, when they are neighbours, and passes in turn have the same tiles of the weight for neighbouring groups.
    /// </summary>
    public int ClusterSize { get; init; } = 1;

    /// <summary>The fastest division, or nearly.</summary>
    /// <param name="rows">Rows of x.</param>
    /// <param name="weightRows">Rows of the weight.</param>
    /// <param name="stride">Columns of both.</param>
    /// <param name="multiprocessors">Of the GPU.</param>
    /// <param name="packed">How the weight is packed; null for halves.</param>
    public static GpuRingPlan Best(int rows, int weightRows, int stride, int multiprocessors, IPackedTiles? packed = null)
    {
        int tiles = weightRows / CoreTiles.TileRows, pieces = stride / CoreTiles.PieceColumns;
        GpuRingPlan best = default;
        long least = long.MaxValue;
        foreach (int block in BlockSizes(rows))
        {
            GpuRingPlan? shared = Shared(rows, block, tiles, pieces, multiprocessors, packed), inTurn = InTurn(rows, block, tiles, multiprocessors);
            // Of two that take as long, passes in turn read what their neighbours read at the same time.
            foreach (GpuRingPlan? plan in packed is not null && rows > block ? (GpuRingPlan?[])[inTurn, shared] : [shared, inTurn])
            {
                if (plan is not { } found || found.Cycles(tiles, pieces, packed) is var cycles && cycles >= least) continue;
                best = found;
                least = cycles;
            }
        }
        return best;
    }

    /// <summary>What a block of x may have: 64 rows and more, and no more than there are.</summary>
    private static IEnumerable<int> BlockSizes(int rows)
    {
        int most = CoreTiles.OperandBlockRows(rows);
        for (int block = Math.Min(most, 64); block < most; block *= 2) yield return block;
        yield return most > ThreeQuarterRows && rows <= ThreeQuarterRows ? ThreeQuarterRows : most;
    }

    /// <summary>Passes in turn over every expert's weight and blocks, each of as many tiles as the others.</summary>
    /// <param name="blocks">The experts' blocks of x.</param>
    /// <param name="weightRows">Rows of an expert's weight.</param>
    /// <param name="stride">Columns.</param>
    /// <param name="multiprocessors">Of the GPU.</param>
    /// <param name="packed">How the weights are packed; null for halves.</param>
    public static GpuRingPlan Experts(in ExpertBlockPlan blocks, int weightRows, int stride, int multiprocessors, IPackedTiles? packed = null)
    {
        int tiles = weightRows / CoreTiles.TileRows;
        GpuRingPlan best = default;
        long least = long.MaxValue;
        for (int perPass = MaxTiles(blocks.Rows, packed); perPass > 0; perPass--)
        {
            if (tiles % perPass != 0) continue;
            long passes = (long)blocks.Typical * (tiles / perPass), most = (long)blocks.Most * (tiles / perPass);
            GpuRingPlan plan = new(blocks.Rows, blocks.Most, (int)Math.Min(multiprocessors, most)) { TilesPerPass = perPass };
            long cycles = (passes + plan.Groups - 1) / plan.Groups * plan.PassTime(perPass, stride / CoreTiles.PieceColumns, packed);
            if (cycles >= least) continue;
            best = plan;
            least = cycles;
        }
        return best;
    }

    /// <summary>Even shares of the weight for each block of x; null where there are more blocks than groups.</summary>
    public static GpuRingPlan? Shared(int rows, int blockRows, int tiles, int pieces, int multiprocessors, IPackedTiles? packed = null)
    {
        int blocks = CeilingDivide(rows, blockRows);
        if (blocks > multiprocessors) return null;
        // With many rows the products decide, which take a warp group as long for one tile as for four; with few the bytes of the weight do.
        int unit = blockRows >= 128 ? WarpGroupTiles : 1, units = CeilingDivide(tiles, unit), groups = Math.Min(multiprocessors / blocks, units), maxTiles = MaxTiles(blockRows, packed);
        int most = CeilingDivide(units, groups) * unit;
        GpuRingPlan plan = new(blockRows, blocks, groups * blocks)
        {
            GroupsPerBlock = groups,
            TilesPerPass = unit > 1 ? maxTiles : CeilingDivide(most, CeilingDivide(most, maxTiles)),
            TilesPerUnit = unit,
        };
        if (unit > 1 || packed is null) return plan;
        // Of a packed weight making halves, or bytes, decides, too, which takes as long for one tile as for four. More passes than there must be took longer all the same.
        for (int perPass = plan.TilesPerPass + 1; perPass <= maxTiles; perPass++)
        {
            GpuRingPlan other = plan with { TilesPerPass = perPass };
            if (other.Cycles(tiles, pieces, packed) < plan.Cycles(tiles, pieces, packed)) plan = other;
        }
        return plan;
    }

    private static int MaxTiles(int blockRows, IPackedTiles? packed) => packed?.MaxTiles(blockRows) ?? GpuRingMatMulPass.MaxTiles;

    /// <summary>Turns of a warp group in passes over so many tiles.</summary>
    private static int Turns(int tiles, int perPass) => (tiles / perPass * CeilingDivide(perPass, WarpGroupTiles)) + CeilingDivide(tiles % perPass, WarpGroupTiles);

    /// <summary>Passes of eight tiles in turn.</summary>
    public static GpuRingPlan InTurn(int rows, int blockRows, int tiles, int multiprocessors)
    {
        int blocks = CeilingDivide(rows, blockRows);
        long passes = (long)blocks * CeilingDivide(tiles, GpuRingMatMulPass.MaxTiles);
        int groups = (int)Math.Min(multiprocessors, passes);
        return new GpuRingPlan(blockRows, blocks, groups) { ClusterSize = blocks % 2 == 0 && groups % 2 == 0 ? 2 : 1 };
    }

    /// <summary>Cycles that the last group to end is expected to take.</summary>
    private long Cycles(int tiles, int pieces, IPackedTiles? packed)
    {
        if (GroupsPerBlock == 0)
        {
            long passes = (long)Blocks * CeilingDivide(tiles, GpuRingMatMulPass.MaxTiles);
            return (passes + Groups - 1) / Groups * PassTime(GpuRingMatMulPass.MaxTiles, pieces, packed);
        }
        int left = CeilingDivide(CeilingDivide(tiles, TilesPerUnit), GroupsPerBlock) * TilesPerUnit;
        long cycles = 0;
        for (; left > 0; left -= TilesPerPass) cycles += PassTime(Math.Min(left, TilesPerPass), pieces, packed);
        return cycles;
    }

    /// <summary>Cycles of a pass: of its products, or of the bytes that they need, of which clusters were seen to spare a third of the weight's.</summary>
    private long PassTime(int tiles, int pieces, IPackedTiles? packed)
    {
        int products = CeilingDivide(tiles, WarpGroupTiles) * ((2 * BlockRows) + (packed is null ? 0 : UnpackCycles));
        int bytes = (tiles * (packed?.PieceBytes ?? CoreTiles.TileBytes) * (ClusterSize > 1 ? 2 : 3) / 3) + (BlockRows * CoreTiles.RowBytes);
        return PassCycles + ((long)pieces * Math.Max(products, bytes / CacheBytes));
    }

    private static int CeilingDivide(int a, int b) => (a + b - 1) / b;
}
