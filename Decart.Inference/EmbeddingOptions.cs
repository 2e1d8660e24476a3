namespace Decart.Inference;

/// <summary>How a text becomes an embedding. Immutable.</summary>
public sealed record EmbeddingOptions
{
    internal static EmbeddingOptions Default { get; } = new();

    /// <summary>
    /// How hidden states become one vector; <see langword="null"/> (the default) for what the checkpoint says: <c>modules.json</c> and <c>1_Pooling/config.json</c> of
    /// sentence-transformers in a folder, <c>pooling_type</c> in a GGUF file; where it says nothing, <see cref="EmbeddingPooling.Mean"/>.
    /// </summary>
    public EmbeddingPooling? Pooling { get; init; }

    /// <summary>Whether the vector is divided by its Euclidean length, after it was cut to <see cref="Dimensions"/>; one of zeros stays as it is. Default <see langword="true"/>.</summary>
    public bool Normalize { get; init; } = true;

    /// <summary>
    /// Keeps only so many of the first elements, from 1 to <see cref="ModelInfo.HiddenSize"/>: for models that were trained so that these say the most (Kusupati et al.,
    /// Matryoshka Representation Learning, 2022). <see langword="null"/> (the default) for all.
    /// </summary>
    public int? Dimensions { get; init; }

    internal void Validate(int hiddenSize)
    {
        GenerationOptions.Require(Pooling is not { } pooling || Enum.IsDefined(pooling), nameof(Pooling), Pooling, "Mean, LastToken or Cls");
        GenerationOptions.Require(
            Dimensions is null || (Dimensions >= 1 && Dimensions <= hiddenSize), nameof(Dimensions), Dimensions, $"1 to {hiddenSize}, the size of the model's hidden states");
    }

    /// <summary>The embedding of a text whose hidden states have been pooled.</summary>
    internal float[] Finish(ReadOnlySpan<double> pooled)
    {
        pooled = pooled[..(Dimensions ?? pooled.Length)];
        double squares = 0;
        foreach (double value in pooled) squares += value * value;
        double length = Normalize && squares > 0 ? Math.Sqrt(squares) : 1;
        float[] embedding = new float[pooled.Length];
        for (int i = 0; i < embedding.Length; i++) embedding[i] = (float)(pooled[i] / length);
        return embedding;
    }
}
