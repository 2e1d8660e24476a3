using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct ColumnOrderArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    /// <summary>Operands; see <see cref="CoreTiles"/>.</summary>
    public long X, Y;

    /// <summary>For each column of y the column of x that stands there (int).</summary>
    public long Order;

    /// <summary>Columns, and with padding.</summary>
    public int Columns, Stride;

    /// <summary>Rows of a block of either.</summary>
    public int BlockRows;
}

/// <summary>
/// An operand whose columns stand in the order of a weight's (<see cref="Checkpoints.StoredTensor.ColumnOrder"/>), padded with zeros. A thread makes eight neighbours of a row.
/// </summary>
internal static class GpuColumnOrder
{
    private const int Threads = 256;

    public static readonly GpuKernel<ColumnOrderArguments> Kernel = new(Run, Threads) { StartsEarly = true };

    /// <summary>Starts it.</summary>
    /// <param name="device">Where.</param>
    /// <param name="arguments">The operation.</param>
    /// <param name="rows">Rows that the launch is sized for.</param>
    public static void Launch(IGpuDevice device, in ColumnOrderArguments arguments, int rows)
    {
        int columns = Math.Min(Threads, device.MaxGroupSize) * CoreRow.Columns;
        device.Launch(Kernel, new GpuGrid(rows, (arguments.Stride + columns - 1) / columns), arguments);
    }

    private static void Run(ColumnOrderArguments a)
    {
        GridDependency.LaunchDependents();
        int row = Grid.IdxX, column = ((Grid.IdxY * Group.DimX) + Group.IdxX) * CoreRow.Columns;
        GridDependency.Wait();
        if (row >= Global.LoadInt(a.Count) || column >= a.Stride) return;
        UInt4 halves = new() { A = Pair(a, row, column), B = Pair(a, row, column + 2), C = Pair(a, row, column + 4), D = Pair(a, row, column + 6) };
        Global.Store16(a.Y + CoreTiles.OperandOffset(row, column, a.Stride, a.BlockRows), halves);
    }

    private static uint Pair(ColumnOrderArguments a, int row, int column) => Half(a, row, column) | (Half(a, row, column + 1) << 16);

    private static uint Half(ColumnOrderArguments a, int row, int column)
    {
        uint half = 0;
        if (column < a.Columns) half = Global.Load2(a.X + CoreTiles.OperandOffset(row, Global.LoadInt(a.Order + ((long)column * sizeof(int))), a.Stride, a.BlockRows));
        return half;
    }
}
