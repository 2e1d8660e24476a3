using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

internal struct StoreWeightsArguments
{
    /// <summary>Rows of <see cref="Columns"/> elements of the type <see cref="Type"/>, one after another.</summary>
    public long Source;

    public long Destination;

    /// <summary>For <see cref="GpuPackWeights{TFormat}"/>: address of an int, see <see cref="Packed.PackedTile{TFormat}.Store"/>.</summary>
    public long Unusual;

    public int Type, Columns;

    /// <summary>Padded columns and rows of the destination.</summary>
    public int Stride, Rows;

    /// <summary>The weight's row that the source begins with.</summary>
    public int FirstRow;

    /// <summary>Number of gates, whose rows alternate with the ups'; 0 for rows in order.</summary>
    public int Gates;
}

/// <summary>Rows of stored weights (F32, F16 or BF16) become halves in <see cref="CoreTiles"/>, the padding of columns zeros: one group a row.</summary>
internal static class GpuStoreWeights
{
    public static readonly GpuKernel<StoreWeightsArguments> Kernel = new(Run);

    private static void Run(StoreWeightsArguments a)
    {
        long source = (long)Grid.IdxX * a.Columns;
        int row = a.FirstRow + Grid.IdxX;
        if (a.Gates != 0) row = CoreTiles.GatedRow(row, a.Gates);
        for (int column = Group.IdxX; column < a.Stride; column += Group.DimX)
        {
            uint half = column < a.Columns ? Load(a, source + column) : 0;
            Global.Store2(a.Destination + CoreTiles.WeightOffset(row, column, a.Rows, a.Stride), half);
        }
    }

    private static uint Load(StoreWeightsArguments a, long index)
    {
        if (a.Type == (int)TensorType.F16) return Global.Load2(a.Source + (index * sizeof(ushort)));
        return a.Type == (int)TensorType.BF16
            ? Halves.Saturate(BFloats.Low(Global.Load2(a.Source + (index * sizeof(ushort)))))
            : Halves.Saturate(Global.LoadFloat(a.Source + (index * sizeof(float))));
    }
}
