using Decart.Inference.Sampling;

namespace Decart.Inference.Tests.Sampling;

/// <summary>The sampler against the formulae written out plainly over doubles and a full sort.</summary>
public class SamplerTests
{
    private const int Draws = 20_000;

    private static readonly GenerationOptions[] Settings =
    [
        new(),
        new() { Temperature = 0.5f },
        new() { Temperature = 2 },
        new() { TopK = 1 },
        new() { TopK = 7 },
        new() { TopK = 1000 },
        new() { TopP = 0.001f },
        new() { TopP = 0.6f },
        new() { TopP = 0.999f, Temperature = 3 },
        new() { MinP = 0.1f },
        new() { MinP = 1 },
        new() { TopK = 12, TopP = 0.8f },
        new() { TopP = 0.9f, MinP = 0.2f, Temperature = 1.5f },
        new() { RepetitionPenalty = 1.7f },
        new() { FrequencyPenalty = 0.7f, PresencePenalty = -0.4f },
        new() { LogitBias = new Dictionary<int, float> { [3] = 2, [5] = float.NegativeInfinity, [99] = 4 } },
        new()
        {
            RepetitionPenalty = 0.8f,
            FrequencyPenalty = 0.5f,
            LogitBias = new Dictionary<int, float> { [1] = -3 },
            Temperature = 0.8f,
            TopK = 20,
            TopP = 0.9f,
            MinP = 0.05f,
        },
    ];

    [TestCaseSource(nameof(Settings))]
    public void Tokens_are_drawn_with_the_probabilities_of_the_formulae(GenerationOptions options)
    {
        float[] logits = RandomLogits(200, seed: 3);
        int[] prompt = [1, 2, 3, 3, 150], completion = [3, 3, 9, 9, 9, 42, 150];
        double[] expected = Probabilities(logits, options, prompt, completion);
        SamplingParameters parameters = SamplingParameters.Resolve(options with { Seed = 17 }, new());
        var sampler = new Sampler(logits.Length);
        var counts = new TokenCounts(prompt);
        foreach (int token in completion) counts.Add(token);

        int[] histogram = new int[logits.Length];
        for (int i = 0; i < Draws; i++) histogram[sampler.Sample(logits.AsSpan().ToArray(), parameters, counts, i, out _)]++;

        double distance = 0;
        for (int token = 0; token < logits.Length; token++)
        {
            if (expected[token] == 0) Assert.That(histogram[token], Is.Zero, $"token {token} was cut off");
            distance += Math.Abs(histogram[token] / (double)Draws - expected[token]) / 2;
        }
        // Mean total variation distance of n draws over k outcomes is about sqrt(k / (2 pi n)).
        Assert.That(distance, Is.LessThan(2.0 * Math.Sqrt(expected.Count(p => p > 0) / (2 * Math.PI * Draws)) + 1e-9));
    }

    [TestCase(50)]
    [TestCase(5000)]
    public void A_flat_distribution_has_a_wide_nucleus(int size)
    {
        float[] logits = RandomLogits(size, seed: 4);
        for (int i = 0; i < size; i++) logits[i] *= 0.01f;
        var options = new GenerationOptions { TopP = 0.9f };
        double[] expected = Probabilities(logits, options, [], []);
        var sampler = new Sampler(size);
        HashSet<int> drawn = [];
        for (int i = 0; i < 20 * size; i++)
        {
            int token = sampler.Sample(logits.AsSpan().ToArray(), SamplingParameters.Resolve(options with { Seed = 1 }, new()), null, i, out _);
            drawn.Add(token);
            Assert.That(expected[token], Is.Positive);
        }
        Assert.That(drawn, Has.Count.EqualTo(expected.Count(p => p > 0)));
    }

    [Test]
    public void Among_equals_at_the_edge_of_the_nucleus_the_lowest_stay()
    {
        float[] logits = new float[1000];
        HashSet<int> drawn = [];
        var sampler = new Sampler(1000);
        SamplingParameters parameters = SamplingParameters.Resolve(new() { TopP = 0.2495f, Seed = 1 }, new());
        for (int i = 0; i < 10_000; i++) drawn.Add(sampler.Sample(logits, parameters, null, i, out _));
        Assert.That(drawn.Order(), Is.EqualTo(Enumerable.Range(0, 250)));
    }

    [Test]
    public void Greedy_takes_the_lowest_of_equals()
    {
        float[] logits = new float[100];
        logits[70] = logits[30] = logits[90] = 5;
        Assert.That(Choose(logits, new() { Temperature = 0 }), Is.EqualTo(30));
        Assert.That(Choose(logits, new() { TopK = 1 }), Is.EqualTo(30));
        Assert.That(Choose(logits, new() { Temperature = 0, LogitBias = new Dictionary<int, float> { [30] = -1, [99] = 6 } }), Is.EqualTo(99));
    }

    [TestCase(float.Epsilon)]
    [TestCase(1e-30f)]
    [TestCase(float.MaxValue)]
    public void Extreme_temperatures_stay_finite(float temperature)
    {
        float[] logits = [1, 3, 2, -float.MaxValue, float.NegativeInfinity];
        foreach (GenerationOptions options in (GenerationOptions[])[new(), new() { TopP = 0.5f }, new() { TopK = 3 }, new() { MinP = 0.5f }])
        {
            int token = Choose(logits, options with { Temperature = temperature });
            Assert.That(token, temperature < 1 ? Is.EqualTo(1) : Is.InRange(0, 3));
        }
    }

    [Test]
    public void Logits_that_are_not_numbers_are_an_error()
    {
        Assert.That(() => Choose([1, float.NaN, 2], new()), Throws.TypeOf<NonFiniteLogitsException>().With.Message.Contains("NaN"));
        Assert.That(() => Choose([1, float.PositiveInfinity, 2], new()), Throws.TypeOf<NonFiniteLogitsException>());
        var everything = new Dictionary<int, float> { [0] = float.NegativeInfinity, [1] = float.NegativeInfinity };
        Assert.That(() => Choose([1, 2], new() { LogitBias = everything }), Throws.InvalidOperationException.With.Message.Contains("No token is left"));
    }

    [Test]
    public void Log_probabilities_are_those_of_the_model_alone()
    {
        float[] logits = RandomLogits(500, seed: 9);
        logits[400] = logits[100];
        double logSum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        var bias = new Dictionary<int, float> { [250] = 30 };
        SamplingParameters parameters = SamplingParameters.Resolve(
            new() { Seed = 5, Temperature = 2, TopK = 3, TopLogprobs = 20, RepetitionPenalty = 3, LogitBias = bias }, new());
        int chosen = new Sampler(500).Sample(logits.AsSpan().ToArray(), parameters, new TokenCounts([1, 2, 3]), 0, out TokenLogprobs? logprobs);

        int[] best = [.. Enumerable.Range(0, 500).OrderByDescending(id => logits[id]).ThenBy(id => id).Take(20)];
        Assert.That(chosen, Is.EqualTo(250));
        Assert.That(logprobs!.TokenId, Is.EqualTo(250));
        Assert.That(logprobs.Logprob, Is.EqualTo(logits[250] - logSum).Within(1e-5));
        Assert.That(logprobs.Top.Select(entry => entry.TokenId), Is.EqualTo(best));
        Assert.That(logprobs.Top.Select(entry => entry.Logprob), Is.EqualTo(best.Select(id => (float)(logits[id] - logSum))).Within(1e-5));
    }

    [Test]
    public void The_largest_are_selected_in_order([Values(1, 2, 17, 300, 1000)] int count)
    {
        var random = new Random(count);
        float[] values = [.. Enumerable.Range(0, 1000).Select(_ => (float)random.Next(200))];
        var best = new Candidate[count];
        Candidate.SelectLargest(values, best);
        IEnumerable<int> expected = Enumerable.Range(0, 1000).OrderByDescending(id => values[id]).ThenBy(id => id).Take(count);
        Assert.That(best.Select(candidate => candidate.Id), Is.EqualTo(expected));
    }

    [Test]
    public void A_token_allocates_nothing()
    {
        float[] logits = RandomLogits(1000, seed: 2);
        var sampler = new Sampler(1000);
        var counts = new TokenCounts([1, 2, 3]);
        SamplingParameters parameters = SamplingParameters.Resolve(new() { TopP = 0.9f, RepetitionPenalty = 1.1f, Seed = 1 }, new());
        long bytes = Allocations.InSteadyState(() =>
        {
            for (int i = 0; i < 100; i++) sampler.Sample(logits, parameters, counts, i, out _);
        });
        Assert.That(bytes, Is.Zero);
    }

    private static int Choose(float[] logits, GenerationOptions options) =>
        new Sampler(logits.Length).Sample(logits.AsSpan().ToArray(), SamplingParameters.Resolve(options with { Seed = 1 }, new()), null, 0, out _);

    private static float[] RandomLogits(int size, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, size).Select(_ => (float)(random.NextDouble() * 12 - 7))];
    }

    /// <summary>The documented order of operations, one after the other over the whole vocabulary.</summary>
    private static double[] Probabilities(float[] logits, GenerationOptions options, int[] prompt, int[] completion)
    {
        double[] scores = [.. logits.Select(logit => (double)logit)];
        double penalty = options.RepetitionPenalty ?? 1;
        foreach (int id in prompt.Concat(completion).Distinct()) scores[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty;
        foreach (int id in completion) scores[id] -= options.FrequencyPenalty;
        foreach (int id in completion.Distinct()) scores[id] -= options.PresencePenalty;
        foreach ((int id, float bias) in options.LogitBias ?? new Dictionary<int, float>()) scores[id] += bias;

        double[] probabilities = Softmax([.. scores.Select(score => score / (options.Temperature ?? 1))]);
        int[] order = [.. Enumerable.Range(0, logits.Length).OrderByDescending(id => probabilities[id]).ThenBy(id => id)];
        if (options.TopK is > 0) Keep(order.Take(options.TopK.Value));
        if (options.TopP is { } topP)
        {
            double above = 0;
            List<int> nucleus = [];
            foreach (int id in order)
            {
                if (above < topP) nucleus.Add(id);
                above += probabilities[id];
            }
            Keep(nucleus);
        }
        double threshold = probabilities[order[0]] * (options.MinP ?? 0);
        Keep(order.Where(id => probabilities[id] >= threshold));
        return probabilities;

        void Keep(IEnumerable<int> ids)
        {
            HashSet<int> kept = [.. ids];
            double sum = kept.Sum(id => probabilities[id]);
            for (int id = 0; id < probabilities.Length; id++) probabilities[id] = kept.Contains(id) ? probabilities[id] / sum : 0;
        }
    }

    private static double[] Softmax(double[] scores)
    {
        double max = scores.Max();
        double sum = scores.Sum(score => Math.Exp(score - max));
        return [.. scores.Select(score => Math.Exp(score - max) / sum)];
    }
}
