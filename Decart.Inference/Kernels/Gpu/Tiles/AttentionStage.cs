using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>
/// How 64 keys and their values lie in shared memory. A row is a head of a token, its pieces of 16 bytes exchanged within 128 bytes so that <c>ldmatrix</c> meets no bank twice. Behind
/// the values lie the scales of the tokens, where there are codes.
/// </summary>
internal static class AttentionStage
{
    /// <summary>Keys that a warp of a team multiplies.</summary>
    public const int WarpKeys = AttentionScores.TileKeys / AttentionColumns.TeamWarps;

    private const int TokenScaleBytes = 2 * KvCodes.ScaleBytes;

    /// <summary>Bytes of a tile.</summary>
    /// <param name="groups">Groups of 64 dimensions: a constant, 1 or 2.</param>
    /// <param name="codes">A constant; see <see cref="GpuKv"/>.</param>
    public static int Bytes(int groups, bool codes) => (2 * ValuesOffset(groups, codes)) + (codes ? AttentionScores.TileKeys * TokenScaleBytes : 0);

    /// <summary>Bytes of a row.</summary>
    /// <inheritdoc cref="Bytes" path="/param"/>
    public static int RowBytes(int groups, bool codes) => codes ? 64 * groups : 128 * groups;

    /// <summary>Logarithm of a row's pieces of 16 bytes.</summary>
    /// <inheritdoc cref="Bytes" path="/param"/>
    public static int PieceShift(int groups, bool codes) => codes ? groups + 1 : groups + 2;

    /// <summary>Bytes from the keys of a tile to those of warp number <paramref name="rank"/>.</summary>
    public static int WarpOffset(int rank, int groups, bool codes) => rank * WarpKeys * RowBytes(groups, codes);

    /// <summary>Bytes from the keys of a tile to its values.</summary>
    /// <inheritdoc cref="Bytes" path="/param"/>
    public static int ValuesOffset(int groups, bool codes) => AttentionScores.TileKeys * RowBytes(groups, codes);

    /// <summary>Where the scales of a token of a tile are.</summary>
    /// <param name="stage">Where the tile is.</param>
    /// <param name="key">The token's number in the tile.</param>
    /// <param name="groups">Groups of 64 dimensions.</param>
    public static int ScalesOf(int stage, int key, int groups) => stage + (2 * ValuesOffset(groups, codes: true)) + (key * TokenScaleBytes);

    /// <summary>What the pieces of a row are exchanged by: eight rows, or four pairs of rows where two lie within 128 bytes.</summary>
    /// <param name="row">The row.</param>
    /// <param name="groups">Groups of 64 dimensions.</param>
    /// <param name="codes">See <see cref="GpuKv"/>.</param>
    public static int Swizzle(int row, int groups, bool codes) => codes && groups == 1 ? (row >> 1) & 3 : row & 7;
}
