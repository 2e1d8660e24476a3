using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct PaddingArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    public long Y;

    public int Columns, Stride, BlockRows;
}

/// <summary>Makes the padding of an operand's columns zeros, where its kernel does not: what lies there may not be a number. One group a row.</summary>
internal static class GpuPadding
{
    public static readonly GpuKernel<PaddingArguments> Kernel = new(Run, groupSize: CoreTiles.PieceColumns);

    private static void Run(PaddingArguments a)
    {
        if (Grid.IdxX >= Global.LoadInt(a.Count)) return;
        for (int column = a.Columns + Group.IdxX; column < a.Stride; column += Group.DimX)
            Global.Store2(a.Y + CoreTiles.OperandOffset(Grid.IdxX, column, a.Stride, a.BlockRows), 0);
    }
}
