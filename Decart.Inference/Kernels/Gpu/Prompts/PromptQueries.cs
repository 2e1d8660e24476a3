using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu.Prompts;

/// <summary>The queries of a warp group, in registers.</summary>
internal static class PromptQueries
{
    /// <summary>Loads the warp group's queries, in place of those that there are not some that there are; zeros behind their ends.</summary>
    public static AttentionRowOperands Load(AttentionArguments a, PromptUnit unit, int warpGroup, int groups)
    {
        int dim = (Pinned.Int(Warp.LaneIdx) & 3) * 2;
        long upper = AddressOf(a, unit, PromptUnit.Query(unit, warpGroup, AttentionRows.FirstQuery())) + (dim * sizeof(ushort));
        long lower = AddressOf(a, unit, PromptUnit.Query(unit, warpGroup, AttentionRows.FirstQuery() + 8)) + (dim * sizeof(ushort));
        AttentionRowOperands operands = default;
        operands.Left = LoadOperands(a, upper, lower, 0);
        if (groups > 1) operands.Right = LoadOperands(a, upper, lower, 64);
        return operands;
    }

    private static long AddressOf(AttentionArguments a, PromptUnit unit, PromptQuery query) =>
        GpuHeads.QueryAddress(a, query.Used != 0 ? query.Row : unit.FirstRow, query.Used != 0 ? query.Head : (unit.KvHead * unit.Group) + unit.FirstHead);

    private static AttentionRowWeights LoadOperands(AttentionArguments a, long upper, long lower, int dim) => new()
    {
        A = LoadOperand(a, upper, lower, dim),
        B = LoadOperand(a, upper, lower, dim + 16),
        C = LoadOperand(a, upper, lower, dim + 32),
        D = LoadOperand(a, upper, lower, dim + 48),
    };

    private static UInt4 LoadOperand(AttentionArguments a, long upper, long lower, int dim)
    {
        UInt4 operand = default;
        if (dim < a.HeadDim)
        {
            operand.A = (uint)Global.LoadInt(upper + (dim * sizeof(ushort)));
            operand.B = (uint)Global.LoadInt(lower + (dim * sizeof(ushort)));
        }
        if (dim + 8 < a.HeadDim)
        {
            operand.C = (uint)Global.LoadInt(upper + ((dim + 8) * sizeof(ushort)));
            operand.D = (uint)Global.LoadInt(lower + ((dim + 8) * sizeof(ushort)));
        }
        return operand;
    }
}
