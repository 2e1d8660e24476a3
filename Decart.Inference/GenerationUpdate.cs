namespace Decart.Inference;

/// <summary>A piece of a completion as it is generated. Immutable.</summary>
public sealed record GenerationUpdate
{
    /// <summary>
    /// Text that continues the text of the updates before; never half a character. May be empty: while a character is incomplete,
    /// while the text could be the beginning of a stop sequence, for special tokens, and for a model without a tokenizer.
    /// </summary>
    public string Text { get; init; } = "";

    /// <summary>The new tokens. The end-of-text token that ended the completion is included; its text is not.</summary>
    public IReadOnlyList<int> TokenIds { get; init; } = [];

    /// <summary>One entry for each of <see cref="TokenIds"/>; <see langword="null"/> unless <see cref="GenerationOptions.TopLogprobs"/> was set.</summary>
    public IReadOnlyList<TokenLogprobs>? Logprobs { get; init; }

    /// <summary>Why the completion ended: set on the last update only.</summary>
    public FinishReason? FinishReason { get; init; }

    /// <summary>What the request cost: set on the last update only.</summary>
    public Usage? Usage { get; init; }
}
