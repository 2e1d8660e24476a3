using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu.Prompts;

/// <summary>A ring of tiles of keys and values, for heads of some length.</summary>
internal interface IPromptRing : IRingShape
{
    /// <summary>Groups of 64 dimensions, 1 or 2.</summary>
    static abstract int Groups { get; }
}

/// <summary>The same of codes, which wait in a ring of their own for being widened.</summary>
internal interface IPromptCodeRing : IPromptRing
{
    /// <summary>Tiles of codes that there is room for, a power of two; all but one are on their way.</summary>
    static abstract int CodeStages { get; }
}

/// <summary>For heads of up to 64 elements.</summary>
internal struct PromptRing64 : IPromptRing
{
    public static int Groups => 1;

    public static int Stages => 8;

    public static int StageBytes => 2 * PromptTiles.BlockBytes;

    public static int Writers => 1;

    public static int Readers => PromptTiles.Readers;
}

/// <summary>For heads of up to 128 elements.</summary>
internal struct PromptRing128 : IPromptRing
{
    public static int Groups => 2;

    public static int Stages => 6;

    public static int StageBytes => 4 * PromptTiles.BlockBytes;

    public static int Writers => 1;

    public static int Readers => PromptTiles.Readers;
}

/// <summary>For heads of up to 64 elements that are stored as codes.</summary>
internal struct PromptCodeRing64 : IPromptCodeRing
{
    public static int Groups => 1;

    public static int Stages => 8;

    public static int StageBytes => 2 * PromptTiles.BlockBytes;

    public static int Writers => PromptTiles.CopyWarps;

    public static int Readers => PromptTiles.Readers;

    public static int CodeStages => 8;
}

/// <summary>For heads of up to 128 elements that are stored as codes.</summary>
internal struct PromptCodeRing128 : IPromptCodeRing
{
    public static int Groups => 2;

    public static int Stages => 4;

    public static int StageBytes => 4 * PromptTiles.BlockBytes;

    public static int Writers => PromptTiles.CopyWarps;

    public static int Readers => PromptTiles.Readers;

    public static int CodeStages => 4;
}
