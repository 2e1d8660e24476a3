using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Prompts;

/// <summary>Where a query's output goes, if it is one, and what its totals are multiplied with.</summary>
internal struct PromptOutput
{
    private long _address;
    private int _core, _used;
    private float _inverse;

    /// <summary>Stores what a warp group has computed.</summary>
    /// <param name="a">The operation.</param>
    /// <param name="unit">What was attended.</param>
    /// <param name="warpGroup">The number of the warp group.</param>
    /// <param name="totals">Values times weights.</param>
    /// <param name="whole">The weights' sums.</param>
    /// <param name="groups">Groups of 64 dimensions.</param>
    public static void Store(AttentionArguments a, PromptUnit unit, int warpGroup, Tile128 totals, AttentionRowTotals whole, int groups)
    {
        PromptOutput upper = Of(a, PromptUnit.Query(unit, warpGroup, AttentionRows.FirstQuery()), whole.Upper);
        PromptOutput lower = Of(a, PromptUnit.Query(unit, warpGroup, AttentionRows.FirstQuery() + 8), whole.Lower);
        Store(a, upper, lower, totals.Left, 0);
        if (groups > 1) Store(a, upper, lower, totals.Right, 8);
    }

    private static PromptOutput Of(AttentionArguments a, PromptQuery query, AttentionSoftmax whole) => new()
    {
        _address = a.Y + CoreTiles.OperandOffset(query.Row, 0, a.YStride, a.YBlockRows) + ((Warp.LaneIdx & 3) * 2 * sizeof(ushort)),
        _core = query.Head * (a.HeadDim >> 3),
        _used = query.Used,
        _inverse = Float32.Divide(1, whole.Sum),
    };

    private static void Store(AttentionArguments a, PromptOutput upper, PromptOutput lower, Tile64 totals, int core)
    {
        StorePairs(a, upper, lower, totals.T0, core);
        StorePairs(a, upper, lower, totals.T1, core + 1);
        StorePairs(a, upper, lower, totals.T2, core + 2);
        StorePairs(a, upper, lower, totals.T3, core + 3);
        StorePairs(a, upper, lower, totals.T4, core + 4);
        StorePairs(a, upper, lower, totals.T5, core + 5);
        StorePairs(a, upper, lower, totals.T6, core + 6);
        StorePairs(a, upper, lower, totals.T7, core + 7);
    }

    private static void StorePairs(AttentionArguments a, PromptOutput upper, PromptOutput lower, Float4 total, int core)
    {
        if (core * 8 >= a.HeadDim) return;
        Store(a, upper, core, Halves.Round(total.A * upper._inverse, total.B * upper._inverse));
        Store(a, lower, core, Halves.Round(total.C * lower._inverse, total.D * lower._inverse));
    }

    /// <summary>Stores the thread's two of eight neighbouring elements, those of a row of a core matrix.</summary>
    private static void Store(AttentionArguments a, PromptOutput output, int core, uint halves)
    {
        core += output._core;
        int offset = ((core >> 3) * a.YBlockRows * CoreTiles.RowBytes) + ((core & 7) * CoreTiles.CoreBytes);
        if (output._used != 0) Global.StoreInt(output._address + offset, (int)halves);
    }
}
