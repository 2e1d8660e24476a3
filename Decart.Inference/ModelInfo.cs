namespace Decart.Inference;

/// <summary>What a loaded model is. Immutable.</summary>
public sealed record ModelInfo
{
    /// <summary>The folder or file that the model was loaded from, as it was given.</summary>
    public required string Source { get; init; }

    /// <summary>The family, as the checkpoint names it: <c>LlamaForCausalLM</c> in a Hugging Face folder, <c>llama</c> in a GGUF file.</summary>
    public required string Architecture { get; init; }

    /// <summary>Number of logits: one more than the largest token id that the model knows.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The most tokens of one request, prompt and completion together.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Where the model computes.</summary>
    public required Device Device { get; init; }
}
