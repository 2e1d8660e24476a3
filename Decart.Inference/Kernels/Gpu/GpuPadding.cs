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

/// <summary>
/// Makes the padding of an operand's columns zeros, where its kernel does not: what lies there may not be a number. One group for <see cref="Rows"/> rows,
/// a row of a core matrix a thread.
/// </summary>
internal static class GpuPadding
{
    /// <summary>Rows of a group: those of core matrices, which are neighbours in memory.</summary>
    public const int Rows = 8;

    public static readonly GpuKernel<PaddingArguments> Kernel = new(Run, groupSize: 128) { StartsEarly = true };

    private static void Run(PaddingArguments a)
    {
        GridDependency.LaunchDependents();
        int firstColumn = a.Columns & -CoreRow.Columns, cores = (a.Stride - firstColumn) / CoreRow.Columns;
        GridDependency.Wait();
        // Of experts' rows it is a kernel that says how many there are.
        int rows = Global.LoadInt(a.Count);
        for (int i = Group.IdxX; i < Rows * cores; i += Group.DimX)
        {
            int row = (Grid.IdxX * Rows) + (i % Rows), column = firstColumn + (i / Rows * CoreRow.Columns);
            if (row < rows) Clear(a.Y + CoreTiles.OperandOffset(row, column, a.Stride, a.BlockRows), a.Columns - column);
        }
    }

    /// <summary>Clears a row of a core matrix but for its first elements.</summary>
    private static void Clear(long address, int first)
    {
        if (first <= 0) Global.Store16(address, default);
        else for (int i = first; i < CoreRow.Columns; i++) Global.Store2(address + (i * sizeof(ushort)), 0);
    }
}
