using Decart.Inference.Sampling;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Engine;

/// <summary>
/// The text of a completion as its tokens arrive: whole characters only, up to the first stop sequence. Empty without a tokenizer, and for
/// the ids beyond a tokenizer's that models have whose vocabulary is padded.
/// </summary>
internal sealed class CompletionText(ITokenizer? tokenizer, IReadOnlyList<string> stopSequences)
{
    private readonly IncrementalDecoder? _decoder = tokenizer is null ? null : new IncrementalDecoder(tokenizer);
    private readonly StopMatcher _stops = new([.. stopSequences]);

    /// <summary>Whether a stop sequence has appeared.</summary>
    public bool Stopped => _stops.Matched;

    /// <summary>Takes the next token and returns the text that is now certain to belong to the completion.</summary>
    public string Append(int token) => _decoder is null || token >= tokenizer!.VocabularySize ? "" : _stops.Append(_decoder.Append(token));

    /// <summary>The completion ends here: returns the rest of its text.</summary>
    public string Flush() => _decoder is null ? "" : _stops.Append(_decoder.Flush()) + _stops.Flush();
}
