using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Strides count elements.</summary>
internal struct RoundArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    public long X, Y;
    public int XStride, YStride, YBlockRows, Columns;
}

/// <summary>y = x, float32 as halves, padded with zeros up to the stride: what a matmul reads of activations that no norm has made an operand of. One group a row.</summary>
internal static class GpuRound
{
    public static readonly GpuKernel<RoundArguments> Kernel = new(Run, groupSize: 512) { StartsEarly = true };

    private static void Run(RoundArguments a)
    {
        GridDependency.LaunchDependents();
        int row = Grid.IdxX, rows = Global.LoadInt(a.Count);
        GridDependency.Wait();
        if (row >= rows) return;
        long x = a.X + ((long)row * a.XStride * sizeof(float));
        for (int column = Group.IdxX * CoreRow.Columns; column < a.YStride; column += Group.DimX * CoreRow.Columns)
        {
            CoreRow values = default;
            if (column < a.Columns) values = CoreRow.First(CoreRow.Load(x + (column * sizeof(float))), a.Columns - column);
            Global.Store16(a.Y + CoreTiles.OperandOffset(row, column, a.YStride, a.YBlockRows), CoreRow.Saturate(values));
        }
    }
}
