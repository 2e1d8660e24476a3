using Decart.Inference.Sampling;

namespace Decart.Inference.Engine;

/// <summary>
/// A request for the log-probabilities of a prompt's tokens but the first. Nothing is asked about what follows the last, which is not computed.
/// </summary>
/// <param name="prompt">At least two tokens.</param>
/// <param name="topLogprobs">How many of the most probable tokens are told beside each.</param>
/// <param name="sampler">The loop's sampler.</param>
internal sealed class ScoringSequence(ReadOnlySpan<int> prompt, int topLogprobs, Sampler sampler) : ResultSequence<TokenLogprobs[]>(prompt[..^1])
{
    private readonly TokenLogprobs[] _scores = new TokenLogprobs[prompt.Length - 1];
    private readonly int _last = prompt[^1];
    private int _done;

    public override RowOutput Rows => RowOutput.Logits;

    public override int ReusableTokens => _done;

    public override bool Accept(ComputedRows rows)
    {
        for (; _done < rows.EndPosition; _done++) _scores[_done] = sampler.Score(_done + 1 < Length ? Tokens[_done + 1] : _last, rows.Logits(_done), topLogprobs);
        return _done == Length;
    }

    protected override TokenLogprobs[] Complete() => _scores;
}
