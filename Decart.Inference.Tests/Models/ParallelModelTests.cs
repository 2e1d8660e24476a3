using System.Numerics.Tensors;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Cpu;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Every family divided among ranks gives what one device gives.</summary>
public class ParallelModelTests
{
    private const int MaxBatchTokens = 16;

    private static readonly int[][] Prompts = [[5, 17, 90, 3, 3, 41, 8], [2], [11, 64]];

    public static IEnumerable<TestCaseData> Cases => from model in TinyModels.Names from ranks in (int[])[2, 4] select new TestCaseData(model, ranks);

    [TestCaseSource(nameof(Cases))]
    public void Ranks_give_the_logits_of_one_device(string model, int ranks)
    {
        float[][] expected = Run(model, new CpuBackend(threads: 1), Together), found = Run(model, ParallelDevices.Cpu(ranks), Together);
        TestContext.Out.WriteLine($"largest logit difference {expected.Zip(found, (a, b) => DecoderRuns.MaxDifference(a, b)).Max():g3}");
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.That(DecoderRuns.MaxDifference(expected[i], found[i]), Is.LessThanOrEqualTo(1e-4f), $"answer {i}");
            Assert.That(TensorPrimitives.CosineSimilarity<float>(expected[i], found[i]), Is.GreaterThanOrEqualTo(0.99999f), $"answer {i}");
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void Chunks_and_company_change_no_bit(string model, int ranks)
    {
        float[][] together = Run(model, ParallelDevices.Cpu(ranks), Together), alone = Run(model, ParallelDevices.Cpu(ranks), Alone);
        for (int i = 0; i < alone.Length; i++) Assert.That(alone[i], Is.EqualTo(together[i]), $"answer {i}");
    }

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
