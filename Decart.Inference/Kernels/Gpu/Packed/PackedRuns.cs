using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Packed;

/// <summary>The runs of a piece, 32 columns of a row each: the two of a row lie together.</summary>
internal static class PackedRuns
{
    /// <summary>Runs of a piece.</summary>
    public const int Count = 2 * CoreTiles.TileRows;

    /// <summary>A run's place among them.</summary>
    /// <param name="row">Row in the tile.</param>
    /// <param name="half">0 for a piece's first 32 columns, 1 for the others.</param>
    public static int Place(int row, int half) => (2 * row) + half;
}
