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
    public static readonly GpuKernel<RoundArguments> Kernel = new(Run);

    private static void Run(RoundArguments a)
    {
        int row = Grid.IdxX;
        if (row >= Global.LoadInt(a.Count)) return;
        long x = a.X + ((long)row * a.XStride * sizeof(float));
        for (int i = Group.IdxX; i < a.YStride; i += Group.DimX)
        {
            uint half = i < a.Columns ? Halves.Saturate(Global.LoadFloat(x + (i * sizeof(float)))) : 0;
            Global.Store2(a.Y + CoreTiles.OperandOffset(row, i, a.YStride, a.YBlockRows), half);
        }
    }
}
