namespace Decart.Inference.Kernels.Cpu;

/// <summary>The shapes that the parts of a matmul agree on.</summary>
internal static class MatMulShape
{
    /// <summary>Weight rows that are worked on together.</summary>
    public const int PanelRows = 8;

    /// <summary>Weight rows of one loop over encoded weights: half a panel, so that a gated panel's gates and ups may differ in format.</summary>
    public const int DotRows = 4;

    /// <summary>Rows of x of the loop over encoded weights that takes several.</summary>
    public const int DotTileRows = 4;

    /// <summary>
    /// Rows of x, at most, that are multiplied with encoded weights: beyond that decoding them once pays. A multiple of <see cref="DotTileRows"/>.
    /// </summary>
    public const int MaxDotRows = 8;

    /// <summary>Rows of x of one loop over decoded weights.</summary>
    public const int TileRows = 3;

    /// <summary>Elements of a row that a decoded panel holds: a multiple of every block, and 24 KB a panel stay in the first-level cache.</summary>
    public const int PanelLength = 768;

    /// <summary>Encoded bytes of a row that are fetched ahead at once, or one block where that is more.</summary>
    public const int FetchBytes = 256;

    /// <summary>Encoded bytes, over all rows of a loop, between those that are worked on and those that are fetched.</summary>
    public const int FetchDistance = 8 * 1024;

    /// <summary>Distance between the rows of a decoded panel; not a power of two, so that rows do not compete for the same cache sets.</summary>
    public const int PanelStride = PanelLength + 16;

    /// <summary>Bytes of a decoded panel.</summary>
    public const int PanelBytes = PanelRows * PanelStride * sizeof(float);

    /// <summary>Rows of x, at most, that are multiplied with a decoded panel before the next one is decoded.</summary>
    public const int BlockRows = 96;

    /// <summary>A decoded panel and the accumulators of a block.</summary>
    public const int ScratchBytes = PanelBytes + (BlockRows * PanelRows * 16 * sizeof(float));
}
