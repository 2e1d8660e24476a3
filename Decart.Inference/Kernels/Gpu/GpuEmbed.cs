using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct EmbedArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    public long Rows, Table, X;

    /// <summary>The tokens that were sampled on the device (int), for rows of a negative token: see <see cref="Batch.AddSampled"/>.</summary>
    public long Sampled;

    /// <summary>What <see cref="RowMaxima.Begin"/> has returned.</summary>
    public long Maxima;

    public int TableRows, TableStride, XStride, Columns;
    public float Scale;
}

/// <summary>x[i] = table[token id of row i] * scale: one group a row, a row of a core matrix a thread. A step begins with it.</summary>
internal static class GpuEmbed
{
    public static readonly GpuKernel<EmbedArguments> Kernel = new(Run, groupSize: 512);

    private static void Run(EmbedArguments a)
    {
        GridDependency.LaunchDependents();
        RowMaxima.ClearAll(a.Maxima);
        int row = Grid.IdxX;
        if (row >= Global.LoadInt(a.Count)) return;
        int token = LoadToken(a, row);
        long x = a.X + ((long)row * a.XStride * sizeof(float));
        for (int column = Group.IdxX * CoreRow.Columns; column < a.Columns; column += Group.DimX * CoreRow.Columns)
        {
            UInt4 halves = Global.LoadConstant16(a.Table + CoreTiles.WeightOffset(token, column, a.TableRows, a.TableStride));
            CoreRow.Store(x + (column * sizeof(float)), CoreRow.Multiply(CoreRow.Widen(halves), a.Scale));
        }
    }

    /// <summary>The token of a row.</summary>
    internal static int LoadToken(EmbedArguments a, int row)
    {
        int token = GpuRow.LoadTokenId(a.Rows, row);
        if (token >= 0) return token;
        // A code instead of a token: its request fails, the row's content does not matter.
        int sampled = Global.LoadInt(a.Sampled + ((long)Batch.PreviousLogitRow(token) * sizeof(int)));
        return sampled < 0 ? 0 : sampled;
    }
}
