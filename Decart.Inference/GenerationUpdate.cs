using Decart.Inference.Values;

namespace Decart.Inference;

/// <summary>A piece of a completion as it is generated. Immutable.</summary>
public sealed record GenerationUpdate
{
    /// <summary>
    /// Text that continues that of earlier updates; never half a character. May be empty: while a character is incomplete,
    /// while the text could be the beginning of a stop sequence, for special tokens, and for a model without a tokenizer.
    /// </summary>
    public string Text { get; init; } = "";

    /// <summary>The new tokens. A token that ended the completion is included; its text is not.</summary>
    public IReadOnlyList<int> TokenIds { get; init => field = ValueList<int>.Copy(value); } = ValueList<int>.Copy([]);

    /// <summary>One entry for each of <see cref="TokenIds"/>; <see langword="null"/> unless <see cref="GenerationOptions.TopLogprobs"/> was set.</summary>
    public IReadOnlyList<TokenLogprobs>? Logprobs { get; init => field = ValueList<TokenLogprobs>.Copy(value); }

    /// <summary>Why the completion ended: set on the last update only.</summary>
    public FinishReason? FinishReason { get; init; }

    /// <summary>The stop sequence that ended the completion, as given in <see cref="GenerationOptions.StopSequences"/>: set on the last update only.</summary>
    public string? StopSequence { get; init; }

    /// <summary>
    /// The token that ended the completion: an end-of-text token, one of <see cref="GenerationOptions.StopTokenIds"/>, or the special token at the end
    /// of a stop sequence. Set on the last update only.
    /// </summary>
    public int? StopTokenId { get; init; }

    /// <summary>What the request cost: set on the last update only.</summary>
    public Usage? Usage { get; init; }
}
