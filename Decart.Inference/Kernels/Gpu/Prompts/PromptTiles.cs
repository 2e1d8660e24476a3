using Decart.Inference.Kernels.Gpu.Intrinsics;
using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Prompts;

/// <summary>How the keys and values of a tile, 64 tokens, lie in a stage: blocks of 64 elements, first those of the keys, swizzled in rows of 128 bytes.</summary>
internal static class PromptTiles
{
    /// <summary>Warps that attend.</summary>
    public const int Readers = PromptUnit.WarpGroups * WarpGroup.Threads / Lanes;

    /// <summary>Warps that copy.</summary>
    public const int CopyWarps = WarpGroup.Threads / Lanes;

    /// <summary>Bytes of 64 rows of 64 elements.</summary>
    public const int BlockBytes = 64 * 128;

    /// <summary>What a thread copies at a time.</summary>
    public const int PieceBytes = 16;

    private const int Lanes = 32;
}
