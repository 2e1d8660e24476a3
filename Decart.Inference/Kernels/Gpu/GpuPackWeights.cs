using Decart.Inference.Kernels.Gpu.Packed;
using Decart.Inference.Kernels.Gpu.Tiles;
using ILGPU;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Rows of stored blocks become tiles of few bits (<see cref="PackedTile{TFormat}"/>): one group a row. All was cleared before: some words have bits of two rows.</summary>
internal static class GpuPackWeights<TFormat>
    where TFormat : IPackedFormat
{
    public static readonly GpuKernel<StoreWeightsArguments> Kernel = new(Run);

    private static void Run(StoreWeightsArguments a)
    {
        long source = a.Source + (long)Grid.IdxX * (a.Columns / TFormat.BlockColumns) * TFormat.BlockBytes;
        int row = a.FirstRow + Grid.IdxX;
        if (a.Gates != 0) row = CoreTiles.GatedRow(row, a.Gates);
        for (int run = Group.IdxX; run < a.Columns / 32; run += Group.DimX)
        {
            long piece = a.Destination + CoreTiles.PackedOffset(row / CoreTiles.TileRows, run / 2, a.Stride, PackedTile<TFormat>.Bytes);
            PackedTile<TFormat>.Store(source, run, piece, row & (CoreTiles.TileRows - 1), a.Unusual);
        }
    }
}
