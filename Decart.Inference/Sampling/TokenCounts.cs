namespace Decart.Inference.Sampling;

/// <summary>The tokens that penalties apply to: those of a sequence's prompt and completion, with their number in the completion.</summary>
internal sealed class TokenCounts
{
    private readonly Dictionary<int, int> _completionCounts;

    public TokenCounts(ReadOnlySpan<int> prompt)
    {
        _completionCounts = [];
        foreach (int id in prompt) _completionCounts[id] = 0;
    }

    public void Add(int id) => _completionCounts[id] = _completionCounts.GetValueOrDefault(id) + 1;

    /// <summary>Repetition penalty on every token seen, then frequency and presence penalties on those of the completion.</summary>
    public void Penalise(Span<float> logits, in SamplingNumbers numbers)
    {
        foreach ((int id, int count) in _completionCounts)
        {
            float logit = logits[id];
            logit = logit > 0 ? logit / numbers.RepetitionPenalty : logit * numbers.RepetitionPenalty;
            if (count > 0) logit -= numbers.FrequencyPenalty * count + numbers.PresencePenalty;
            logits[id] = logit;
        }
    }
}
