namespace Decart.Inference.Kernels.Gpu.Tiles;

/// <summary>The ring of a team of <see cref="GpuDecodeAttention"/>, whose stages are tiles as <see cref="AttentionStage"/> has them; all lanes of a warp fill a stage.</summary>
internal interface IAttentionRing : IRingShape
{
    /// <summary>Groups of 64 dimensions of a head: 1 or 2.</summary>
    static abstract int Groups { get; }

    /// <summary>See <see cref="GpuKv"/>.</summary>
    static abstract bool HasCodes { get; }
}
