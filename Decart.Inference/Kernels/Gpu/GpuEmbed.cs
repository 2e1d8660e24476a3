using Decart.Inference.Kernels.Gpu.Intrinsics;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct EmbedArguments
{
    /// <summary>Address of the number of rows (int).</summary>
    public long Count;

    public long Rows, Table, X;
    public int TableStride, XStride, Columns;
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
        long source = a.Table + ((long)token * a.TableStride * sizeof(ushort)), destination = a.X + ((long)row * a.XStride * sizeof(float));
        for (int i = Group.IdxX; i < a.Columns; i += Group.DimX)
        {
            Global.StoreFloat(destination + (i * sizeof(float)), Halves.Low(Global.Load2(source + (i * sizeof(ushort)))) * a.Scale);
        }
    }
}
