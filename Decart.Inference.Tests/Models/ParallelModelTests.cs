using System.Numerics.Tensors;
using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Every family divided among ranks gives what one device gives.</summary>
[TestFixtureSource(typeof(ParallelDevices), nameof(ParallelDevices.Fixtures))]
[CancelAfter(120_000)]
internal sealed class ParallelModelTests(string kind, int count)
{
    private const int MaxBatchTokens = 16;

    private static readonly int[][] Prompts = [[5, 17, 90, 3, 3, 41, 8], [2], [11, 64]];

    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void Ranks_give_the_logits_of_one_device(string model)
    {
        float[][] expected = Run(model, ParallelDevices.CreateOne(kind), Together), found = Run(model, ParallelDevices.Create(kind, count), Together);
        TestContext.Out.WriteLine($"largest logit difference {expected.Zip(found, (a, b) => DecoderRuns.MaxDifference(a, b)).Max():g3}");
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.That(DecoderRuns.MaxDifference(expected[i], found[i]), Is.LessThanOrEqualTo(kind == "cpu" ? 1e-5f : 1e-2f), $"answer {i}");
            Assert.That(TensorPrimitives.CosineSimilarity<float>(expected[i], found[i]), Is.GreaterThanOrEqualTo(0.99999f), $"answer {i}");
        }
    }

    [TestCaseSource(nameof(Arrangements))]
    public void Chunks_and_company_change_no_bit(string model)
    {
        float[][] together = Run(model, ParallelDevices.Create(kind, count), Together), alone = Run(model, ParallelDevices.Create(kind, count), Alone);
        for (int i = 0; i < alone.Length; i++) Assert.That(alone[i], Is.EqualTo(together[i]), $"answer {i}");
    }

    /// <summary>One model of each arrangement of blocks and of weights.</summary>
    private static string[] Arrangements => ["llama", "mixtral", "gemma2", "falcon 7B", "falcon RefinedWeb"];

    private static float[][] Run(string model, IBackend owned, Func<Decoder, KvRanges, float[][]> run)
    {
        using IBackend backend = owned;
        string folder = TinyModels.WriteFolder(TinyModels.Config(model));
        try
        {
            using Decoder decoder = Decoders.LoadRandom(folder, backend, MaxBatchTokens, Prompts.Length, seed: 5);
            using KvRanges ranges = new(backend, decoder.KvLayout, Prompts.Length, MaxBatchTokens);
            return run(decoder, ranges);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>
    /// The logits after the first prompt; then, in one batch, after the second prompt, one more token of the first, and the third prompt.
    /// </summary>
    private static float[][] Together(Decoder decoder, KvRanges ranges)
    {
        float[] first = decoder.Prefill(ranges[0], Prompts[0]);
        Batch batch = new();
        batch.Add(ranges[1], Prompts[1], 0, wantsLogits: true);
        batch.Add(ranges[0], [7], Prompts[0].Length, wantsLogits: true);
        batch.Add(ranges[2], Prompts[2], 0, wantsLogits: true);
        decoder.Forward(batch);
        return [first, decoder.Logits(0), decoder.Logits(1), decoder.Logits(2)];
    }

    /// <summary>The same, one prompt at a time and in chunks.</summary>
    private static float[][] Alone(Decoder decoder, KvRanges ranges) =>
    [
        decoder.Prefill(ranges[0], Prompts[0], chunk: 3),
        decoder.Prefill(ranges[1], Prompts[1]),
        decoder.Prefill(ranges[0], [7], firstPosition: Prompts[0].Length),
        decoder.Prefill(ranges[2], Prompts[2], chunk: 1),
    ];
}
