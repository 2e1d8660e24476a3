using Decart.Inference.Sampling;

namespace Decart.Inference.Tests.Sampling;

/// <summary>The documented way to a token, step by step in doubles over a full sort.</summary>
internal static class ReferenceSampler
{
    /// <summary>Chooses a token.</summary>
    /// <param name="logits">The model's.</param>
    /// <param name="parameters">How.</param>
    /// <param name="prompt">Tokens that penalties concern.</param>
    /// <param name="completion">Tokens that all penalties concern.</param>
    /// <param name="allowed">Which tokens are; null for all.</param>
    /// <param name="random">From 0 to 1.</param>
    /// <returns>
    /// The token, and by how much, relative to what is compared, a comparison on the way to it could be off without changing it.
    /// </returns>
    public static (int Token, double Margin) Choose(
        ReadOnlySpan<float> logits, SamplingParameters parameters, int[] prompt, int[] completion, bool[]? allowed, double random)
    {
        double[] scores = Scores(logits, parameters, prompt, completion, allowed);
        int[] order = [.. Enumerable.Range(0, scores.Length).OrderByDescending(id => scores[id]).ThenBy(id => id)];
        bool exact = !parameters.ChangesLogits;
        if (parameters.Numbers.Temperature == 0) return (order[0], exact || order.Length == 1 ? 1 : scores[order[0]] - scores[order[1]]);

        double margin = 1;
        int count = order.Length;
        double[] weights = [.. order.Select(id => Math.Exp((scores[id] - scores[order[0]]) / parameters.Numbers.Temperature))];
        if (parameters.Numbers.TopK > 0 && parameters.Numbers.TopK < count)
        {
            count = parameters.Numbers.TopK;
            if (!exact) margin = scores[order[count - 1]] - scores[order[count]];
        }
        if (parameters.Numbers.TopP < 1)
        {
            double wanted = parameters.Numbers.TopP * weights.Take(count).Sum(), sum = weights[0];
            int kept = 1;
            for (; kept < count && sum < wanted; kept++)
            {
                margin = Math.Min(margin, (wanted - sum) / wanted);
                sum += weights[kept];
            }
            margin = Math.Min(margin, Math.Abs(sum - wanted) / wanted);
            count = kept;
        }
        for (int i = 0; i < count; i++)
        {
            margin = parameters.Numbers.MinP > 0 && i > 0 ? Math.Min(margin, Math.Abs(weights[i] - parameters.Numbers.MinP) / parameters.Numbers.MinP) : margin;
            if (weights[i] < parameters.Numbers.MinP) count = i;
        }

        (int Id, double Weight)[] drawn = [.. Enumerable.Range(0, count).Select(i => (order[i], weights[i])).OrderBy(token => token.Item1)];
        double total = drawn.Sum(token => token.Weight), before = 0;
        foreach ((int id, double weight) in drawn)
        {
            if (before + weight > random * total)
                return (id, Math.Min(margin, Math.Min(random - (before / total), ((before + weight) / total) - random)));
            before += weight;
        }
        return (drawn[^1].Id, 0);
    }

    private static double[] Scores(ReadOnlySpan<float> logits, SamplingParameters parameters, int[] prompt, int[] completion, bool[]? allowed)
    {
        double[] scores = new double[logits.Length];
        for (int id = 0; id < scores.Length; id++) scores[id] = logits[id];
        foreach (int id in prompt.Concat(completion).Distinct())
            scores[id] = scores[id] > 0 ? scores[id] / parameters.Numbers.RepetitionPenalty : scores[id] * parameters.Numbers.RepetitionPenalty;
        foreach (int id in completion) scores[id] -= parameters.Numbers.FrequencyPenalty;
        foreach (int id in completion.Distinct()) scores[id] -= parameters.Numbers.PresencePenalty;
        foreach ((int id, float bias) in parameters.LogitBias) scores[id] += bias;
        for (int id = 0; allowed is not null && id < scores.Length; id++)
        {
            if (!allowed[id]) scores[id] = double.NegativeInfinity;
        }
        return scores;
    }
}
