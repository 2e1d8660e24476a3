namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>The sums of matmuls by warp groups, for each size of a block of x.</summary>
internal static class BlockSums
{
    /// <summary>Rows of blocks.</summary>
    public static IReadOnlyList<int> Sizes { get; } = [8, 16, 32, 64, 128, 192, 256];

    /// <summary>What belongs to blocks of as many rows.</summary>
    /// <param name="blockRows">One of <see cref="Sizes"/>.</param>
    public static TResult For<TChoice, TResult>(int blockRows)
        where TChoice : IBlockChoice<TResult> => blockRows switch
        {
            8 => TChoice.Of<Sums8>(),
            16 => TChoice.Of<Sums16>(),
            32 => TChoice.Of<Sums32>(),
            64 => TChoice.Of<Sums64>(),
            128 => TChoice.Of<Sums128>(),
            192 => TChoice.Of<Sums192>(),
            256 => TChoice.Of<Sums256>(),
            _ => throw new ArgumentOutOfRangeException(nameof(blockRows), blockRows, $"Blocks have {string.Join(", ", Sizes)} rows."),
        };
}

/// <summary>What belongs to each kind of sums.</summary>
internal interface IBlockChoice<TResult>
{
    static abstract TResult Of<TSums>()
        where TSums : unmanaged, IHeldSums<TSums>, ICodeSums<TSums>;
}
