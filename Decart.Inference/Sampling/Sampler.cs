using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Decart.Inference.Sampling;

/// <summary>
/// Chooses a token from logits. Holds working memory only, shared by all sequences and owned by the engine loop's thread; what a
/// sequence remembers between tokens is its <see cref="TokenCounts"/>.
/// </summary>
internal sealed class Sampler(int vocabularySize)
{
    /// <summary>The nucleus of top-p is looked for among this many tokens first: most distributions are peaked.</summary>
    private const int SmallNucleus = 64;

    /// <summary>Weights are added up by blocks, in vectors, and only the block that holds the drawn number is walked.</summary>
    private const int DrawBlock = 1024;

    private readonly float[] _weights = new float[vocabularySize];
    private readonly float[] _modelLogits = new float[vocabularySize];
    private readonly Candidate[] _candidates = new Candidate[vocabularySize];

    /// <summary>Chooses the next token.</summary>
    /// <param name="logits">The model's logits, one for each token of the vocabulary; changed by penalties, mask and bias.</param>
    /// <param name="parameters">How to choose.</param>
    /// <param name="counts">What penalties refer to; not needed without penalties.</param>
    /// <param name="index">Which token of the completion this is, from 0: with the seed it determines the random number.</param>
    /// <param name="logprobs">Log-probabilities when <see cref="SamplingParameters.TopLogprobs"/> asks for them.</param>
    /// <param name="mask">The tokens that may be chosen; null for all.</param>
    /// <exception cref="InvalidOperationException">A logit is NaN or positive infinity, or every token is forbidden.</exception>
    public int Sample(Span<float> logits, SamplingParameters parameters, TokenCounts? counts, int index, out TokenLogprobs? logprobs, TokenMask? mask = null)
    {
        float max = FiniteMax(logits, changed: false);
        if (parameters.TopLogprobs is not null) logits.CopyTo(_modelLogits);
        if (parameters.ChangesLogits)
        {
            if (parameters.HasPenalties) counts!.Penalise(logits, parameters.Numbers);
            mask?.Apply(logits);
            foreach ((int id, float bias) in parameters.LogitBias) logits[id] += bias;
            max = FiniteMax(logits, changed: true);
        }

        SamplingNumbers numbers = parameters.Numbers;
        int chosen = numbers.Temperature == 0 ? logits.IndexOf(max) : Draw(logits, max, numbers, Philox.NextDouble(numbers.Seed, (ulong)index));
        logprobs = parameters.TopLogprobs is { } top ? Logprobs(chosen, _modelLogits, top) : null;
        return chosen;
    }

    /// <summary>The log-probabilities of a token that was sampled, and of the most probable ones.</summary>
    /// <param name="chosen">The token.</param>
    /// <param name="logits">The model's logits.</param>
    /// <param name="top">How many of the most probable tokens.</param>
    public TokenLogprobs Logprobs(int chosen, ReadOnlySpan<float> logits, int top)
    {
        float max = TensorPrimitives.Max(logits);
        double logSum = max + Math.Log(Sum(ComputeWeights(logits, max, temperature: 1)));
        Span<Candidate> best = _candidates.AsSpan(0, Math.Min(top, logits.Length));
        var entries = new TokenLogprob[best.Length];
        if (best.Length > 0) Candidate.SelectLargest(logits, best);
        for (int i = 0; i < entries.Length; i++) entries[i] = new TokenLogprob(best[i].Id, (float)(best[i].Value - logSum));
        return new TokenLogprobs(chosen, (float)(logits[chosen] - logSum), entries);
    }

    /// <summary>The log-probabilities of a token that was given, and of the most probable ones.</summary>
    /// <inheritdoc cref="Logprobs" path="/param"/>
    /// <exception cref="InvalidOperationException">The largest logit is not a finite number.</exception>
    public TokenLogprobs Score(int chosen, ReadOnlySpan<float> logits, int top)
    {
        FiniteMax(logits, changed: false);
        return Logprobs(chosen, logits, top);
    }

    private static float FiniteMax(ReadOnlySpan<float> logits, bool changed)
    {
        float max = TensorPrimitives.Max(logits);
        return float.IsFinite(max) ? max : throw NoToken.Error(changed, max);
    }

    private int Draw(ReadOnlySpan<float> logits, float max, in SamplingNumbers numbers, double random)
    {
        if (numbers.TopK > 0 && numbers.TopK < logits.Length) return DrawFromTopK(logits, max, numbers, random);
        Span<float> weights = ComputeWeights(logits, max, numbers.Temperature);
        if (numbers.TopP < 1) return DrawFromNucleus(logits, weights, numbers, random);
        ApplyMinP(weights, numbers.MinP);
        return DrawFrom(weights, random);
    }

    /// <summary>exp((logit - max) / temperature): in proportion to the probabilities; for the most probable token 1, give or take a rounding.</summary>
    private Span<float> ComputeWeights(ReadOnlySpan<float> logits, float max, float temperature)
    {
        Span<float> weights = _weights.AsSpan(0, logits.Length);
        TensorPrimitives.Subtract(logits, max, weights);
        if (temperature != 1) TensorPrimitives.Divide(weights, temperature, weights);
        TensorPrimitives.Exp(weights, weights);
        return weights;
    }

    private int DrawFromTopK(ReadOnlySpan<float> logits, float max, in SamplingNumbers numbers, double random)
    {
        Span<Candidate> best = _candidates.AsSpan(0, numbers.TopK);
        Candidate.SelectLargest(logits, best);
        double total = 0;
        foreach (ref Candidate candidate in best)
        {
            candidate.Value = MathF.Exp((candidate.Value - max) / numbers.Temperature);
            total += candidate.Value;
        }
        return DrawFrom(Truncate(best, numbers.TopP * total, numbers.MinP), random);
    }

    private int DrawFromNucleus(ReadOnlySpan<float> logits, Span<float> weights, in SamplingNumbers numbers, double random)
    {
        double total = Sum(weights);
        double wanted = numbers.TopP * total;
        Span<Candidate> best = _candidates.AsSpan(0, Math.Min(SmallNucleus, logits.Length));
        Candidate.SelectLargest(logits, best);
        double sum = 0;
        foreach (ref Candidate candidate in best)
        {
            candidate.Value = weights[candidate.Id];
            sum += candidate.Value;
        }
        if (sum >= wanted) return DrawFrom(Truncate(best, wanted, numbers.MinP), random);
        ZeroOutsideNucleus(weights, total, wanted);
        ApplyMinP(weights, numbers.MinP);
        return DrawFrom(weights, random);
    }

    /// <summary>
    /// Keeps the fewest of the largest weights that sum to <paramref name="wanted"/>, without sorting: bisects for the largest threshold at which
    /// they do, over the bit patterns of positive floats, whose order is that of their values; of the weights at the threshold the first are kept.
    /// </summary>
    private static void ZeroOutsideNucleus(Span<float> weights, double total, double wanted)
    {
        // Weights below an even share of what may be left out weigh less than that together: all others are more than enough.
        float enoughFrom = MathF.Max((float)((total - wanted) / weights.Length), TensorPrimitives.Min<float>(weights));
        int low = BitConverter.SingleToInt32Bits(enoughFrom);
        int high = BitConverter.SingleToInt32Bits(2);
        while (high - low > 1)
        {
            int middle = low + (high - low) / 2;
            if (SumFrom(weights, BitConverter.Int32BitsToSingle(middle)) >= wanted) low = middle;
            else high = middle;
        }
        double missing = wanted - SumFrom(weights, BitConverter.Int32BitsToSingle(high));
        float threshold = BitConverter.Int32BitsToSingle(low);
        ZeroBelow(weights, threshold);
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i] != threshold) continue;
            if (missing <= 0) weights[i] = 0;
            missing -= threshold;
        }
    }

    private static void ApplyMinP(Span<float> weights, float minP)
    {
        if (minP > 0) ZeroBelow(weights, minP * TensorPrimitives.Max<float>(weights));
    }

    private static void ZeroBelow(Span<float> weights, float threshold)
    {
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i] < threshold) weights[i] = 0;
        }
    }

    /// <summary>
    /// The shortest prefix of the candidates, which are sorted, that weighs <paramref name="wanted"/>; of it what min-p leaves. By id, because that is
    /// the order to draw in, here as from all weights and on other devices.
    /// </summary>
    private static Span<Candidate> Truncate(Span<Candidate> best, double wanted, float minP)
    {
        int kept = 0;
        double sum = 0;
        while (kept < best.Length && (kept == 0 || sum < wanted) && best[kept].Value >= minP * best[0].Value) sum += best[kept++].Value;
        best = best[..kept];
        best.Sort(static (a, b) => a.Id.CompareTo(b.Id));
        return best;
    }

    private static int DrawFrom(ReadOnlySpan<Candidate> candidates, double random)
    {
        double left = 0;
        foreach (Candidate candidate in candidates) left += candidate.Value;
        left *= random;
        int last = 0;
        foreach (Candidate candidate in candidates)
        {
            if (candidate.Value == 0) continue;
            last = candidate.Id;
            left -= candidate.Value;
            if (left < 0) break;
        }
        return last;
    }

    private static int DrawFrom(ReadOnlySpan<float> weights, double random)
    {
        double left = random * Sum(weights);
        int block = 0;
        for (; block + DrawBlock < weights.Length; block += DrawBlock)
        {
            float sum = TensorPrimitives.Sum(weights.Slice(block, DrawBlock));
            if (left < sum) break;
            left -= sum;
        }
        int last = 0;
        for (int i = block; i < weights.Length; i++)
        {
            if (weights[i] == 0) continue;
            last = i;
            left -= weights[i];
            if (left < 0) break;
        }
        return last;
    }

    private static double Sum(ReadOnlySpan<float> weights)
    {
        double sum = 0;
        for (int block = 0; block < weights.Length; block += DrawBlock)
            sum += TensorPrimitives.Sum(weights.Slice(block, Math.Min(DrawBlock, weights.Length - block)));
        return sum;
    }

    /// <summary>The sum of the weights that are at least <paramref name="threshold"/>.</summary>
    private static double SumFrom(ReadOnlySpan<float> weights, float threshold)
    {
        double sum = 0;
        for (int block = 0; block < weights.Length; block += DrawBlock)
            sum += SumFromInBlock(weights.Slice(block, Math.Min(DrawBlock, weights.Length - block)), threshold);
        return sum;
    }

    private static double SumFromInBlock(ReadOnlySpan<float> weights, float threshold)
    {
        Vector<float> thresholds = new(threshold);
        Vector<float> even = Vector<float>.Zero, odd = Vector<float>.Zero;
        ReadOnlySpan<Vector<float>> lanes = MemoryMarshal.Cast<float, Vector<float>>(weights);
        int i = 0;
        for (; i < lanes.Length - 1; i += 2)
        {
            even += From(lanes[i], thresholds);
            odd += From(lanes[i + 1], thresholds);
        }
        if (i < lanes.Length) even += From(lanes[i], thresholds);
        double sum = Vector.Sum(even + odd);
        foreach (float weight in weights[(lanes.Length * Vector<float>.Count)..]) sum += weight >= threshold ? weight : 0;
        return sum;

        static Vector<float> From(Vector<float> lanes, Vector<float> thresholds) =>
            Vector.ConditionalSelect(Vector.GreaterThanOrEqual(lanes, thresholds), lanes, Vector<float>.Zero);
    }
}
