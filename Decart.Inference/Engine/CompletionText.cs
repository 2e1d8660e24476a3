using Decart.Inference.Sampling;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Engine;

/// <summary>
/// The text of a completion as its tokens arrive, and whether one of them ends it: whole characters only, up to the first stop sequence. Empty
/// without a tokenizer, and for the ids beyond a tokenizer's that models have whose vocabulary is padded.
/// </summary>
/// <param name="tokenizer">The model's tokenizer, or null.</param>
/// <param name="end">What ends the completion.</param>
/// <param name="writtenTokens">Tokens without a text of their own that are written out all the same, with what is written.</param>
internal sealed class CompletionText(ITokenizer? tokenizer, EndConditions end, IReadOnlyDictionary<int, string>? writtenTokens = null)
{
    private readonly IncrementalDecoder? _decoder = tokenizer is null ? null : new IncrementalDecoder(tokenizer);
    private readonly StopMatcher _stops = new(end.Sequences, end.SequencesWithTokens);

    /// <summary>Whether the completion has ended by a token or a stop sequence.</summary>
    public bool Stopped => StopTokenId is not null || StopSequence is not null;

    /// <summary>The stop sequence that ended the completion, or null.</summary>
    public string? StopSequence => _stops.Matched;

    /// <summary>The token that ended the completion, or null.</summary>
    public int? StopTokenId { get; private set; }

    /// <summary>Takes the next token and returns the text that is now certain to belong to the completion.</summary>
    public string Append(int token)
    {
        bool hasText = _decoder is not null && token < tokenizer!.VocabularySize && !tokenizer.GetTokenBytes(token).IsEmpty;
        bool ends = end.Tokens.Contains(token);
        string text = !hasText ? AppendToken(token, ends) : ends ? "" : _stops.Append(_decoder!.Append(token));
        if (ends || (!hasText && StopSequence is not null)) StopTokenId = token;
        return text;
    }

    private string AppendToken(int token, bool ends)
    {
        string text = _stops.AppendToken(token);
        return !ends && StopSequence is null && writtenTokens is not null && writtenTokens.TryGetValue(token, out string? name) ? text + _stops.Append(name) : text;
    }

    /// <summary>The completion ends here: returns the rest of its text.</summary>
    public string Flush() => _decoder is null ? "" : _stops.Append(_decoder.Flush()) + _stops.Flush();
}
