using System.Text;
using Decart.Inference.Values;

namespace Decart.Inference;

/// <summary>A whole completion. Immutable.</summary>
public sealed record GenerationResult
{
    /// <summary>The generated text, without the prompt and without the token or stop sequence that ended it; empty for a model without a tokenizer.</summary>
    public required string Text { get; init; }

    /// <summary>All generated tokens, including the token or the tokens of the stop sequence that ended the completion.</summary>
    public required IReadOnlyList<int> TokenIds { get; init => field = ValueList<int>.Copy(value); }

    /// <summary>One entry for each of <see cref="TokenIds"/>; <see langword="null"/> unless <see cref="GenerationOptions.TopLogprobs"/> was set.</summary>
    public IReadOnlyList<TokenLogprobs>? Logprobs { get; init => field = ValueList<TokenLogprobs>.Copy(value); }

    /// <summary>Why the completion ended.</summary>
    public required FinishReason FinishReason { get; init; }

    /// <summary>
    /// The stop sequence that ended the completion, as given in <see cref="GenerationOptions.StopSequences"/>; <see langword="null"/> if none did.
    /// </summary>
    public string? StopSequence { get; init; }

    /// <summary>
    /// The token that ended the completion: an end-of-text token, one of <see cref="GenerationOptions.StopTokenIds"/>, or the special token at the end
    /// of a stop sequence; <see langword="null"/> if none did.
    /// </summary>
    public int? StopTokenId { get; init; }

    /// <summary>What the request cost.</summary>
    public required Usage Usage { get; init; }

    /// <summary>Reads a stream to its end.</summary>
    internal static async Task<GenerationResult> CollectAsync(IAsyncEnumerable<GenerationUpdate> updates)
    {
        var text = new StringBuilder();
        List<int> tokens = [];
        List<TokenLogprobs>? logprobs = null;
        GenerationUpdate? last = null;
        await foreach (GenerationUpdate update in updates.ConfigureAwait(false))
        {
            text.Append(update.Text);
            tokens.AddRange(update.TokenIds);
            if (update.Logprobs is not null) (logprobs ??= []).AddRange(update.Logprobs);
            last = update;
        }
        return new GenerationResult
        {
            Text = text.ToString(),
            TokenIds = tokens,
            Logprobs = logprobs,
            FinishReason = last!.FinishReason!.Value,
            StopSequence = last.StopSequence,
            StopTokenId = last.StopTokenId,
            Usage = last.Usage!,
        };
    }
}
