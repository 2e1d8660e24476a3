using BenchmarkDotNet.Attributes;
using Decart.Inference.Sampling;

namespace Decart.Inference.Benchmarks;

/// <summary>One token from the logits of a vocabulary of 128,256 (Llama 3), by what is asked of the sampler.</summary>
[MemoryDiagnoser]
public class SamplingBenchmarks
{
    private const int Vocabulary = 128_256;

    private readonly Sampler _sampler = new(Vocabulary);
    private readonly float[] _logits = new float[Vocabulary];
    private TokenCounts? _counts;
    private SamplingParameters? _parameters;
    private int _index;

    /// <summary>What is asked.</summary>
    public enum Setting { Greedy, Temperature, TopK40, TopP95, TopP95Flat, MinP5, Penalties, TopLogprobs5 }

    [ParamsAllValues]
    public Setting Asked { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        var random = new Random(1);
        double spread = Asked == Setting.TopP95Flat ? 0.1 : 3;
        // Sums of uniform numbers: bell-shaped like real logits, with a few far ahead.
        for (int i = 0; i < Vocabulary; i++) _logits[i] = (float)((random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) * 2 * spread);
        for (int i = 0; i < 20; i++) _logits[random.Next(Vocabulary)] += (float)(3 * spread);
        _counts = new TokenCounts([.. Enumerable.Range(0, 1000)]);
        GenerationOptions options = Asked switch
        {
            Setting.Greedy => new() { Temperature = 0 },
            Setting.TopK40 => new() { TopK = 40 },
            Setting.TopP95 or Setting.TopP95Flat => new() { TopP = 0.95f },
            Setting.MinP5 => new() { MinP = 0.05f },
            Setting.Penalties => new() { Temperature = 0, RepetitionPenalty = 1.0001f },
            Setting.TopLogprobs5 => new() { Temperature = 0, TopLogprobs = 5 },
            _ => new(),
        };
        _parameters = SamplingParameters.Resolve(options with { Seed = 1 }, new());
    }

    [Benchmark]
    public int Sample() => _sampler.Sample(_logits, _parameters!, _counts, _index++, out _);
}
