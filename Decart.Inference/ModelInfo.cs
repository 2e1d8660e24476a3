namespace Decart.Inference;

/// <summary>What a loaded model is. Immutable.</summary>
public sealed record ModelInfo
{
    /// <summary>The folder, file or name that the model was loaded from, as it was given.</summary>
    public required string Source { get; init; }

    /// <summary>
    /// The family, as the checkpoint names it (<c>model_type</c> in a <c>config.json</c>, <c>general.architecture</c> in a GGUF file): <c>llama</c>,
    /// <c>qwen2</c> and so on.
    /// </summary>
    public required string Architecture { get; init; }

    /// <summary>Number of logits: one more than the largest token id.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Number of elements of a hidden state, and of an embedding.</summary>
    public int HiddenSize { get; init; }

    /// <summary>The most tokens of one request, prompt and completion together.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Where the model computes.</summary>
    public required Device Device { get; init; }
}
