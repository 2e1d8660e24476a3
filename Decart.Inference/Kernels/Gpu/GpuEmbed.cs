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

    public int TableRows, TableStride, XStride, Columns;
    public float Scale;
}

/// <summary>x[i] = table[token id of row i] * scale: one group a row.</summary>
internal static class GpuEmbed
{
    public static readonly GpuKernel<EmbedArguments> Kernel = new(Run);

    private static void Run(EmbedArguments a)
    {
        int row = Grid.IdxX;
        if (row >= Global.LoadInt(a.Count)) return;
        int token = GpuRow.LoadTokenId(a.Rows, row);
        if (token < 0)
        {
            // A code instead of a token: its request fails, the row's content does not matter.
            int sampled = Global.LoadInt(a.Sampled + ((long)Batch.PreviousLogitRow(token) * sizeof(int)));
            token = sampled < 0 ? 0 : sampled;
        }
        long destination = a.X + ((long)row * a.XStride * sizeof(float));
        for (int i = Group.IdxX; i < a.Columns; i += Group.DimX)
        {
            uint half = Global.Load2(a.Table + CoreTiles.WeightOffset(token, i, a.TableRows, a.TableStride));
            Global.StoreFloat(destination + (i * sizeof(float)), Halves.Low(half) * a.Scale);
        }
    }
}
