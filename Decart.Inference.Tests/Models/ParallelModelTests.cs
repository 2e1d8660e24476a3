using System.Numerics.Tensors;

namespace Decart.Inference.Tests.Models;

/// <summary>Every family divided among ranks gives what one device gives.</summary>
[TestFixtureSource(typeof(ParallelDevices), nameof(ParallelDevices.Fixtures))]
[CancelAfter(120_000)]
internal sealed class ParallelModelTests(string kind, int count)
{
    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void Ranks_give_the_logits_of_one_device(string model)
    {
        float[][] expected = TinyModelRuns.Run(model, ParallelDevices.CreateOne(kind), TinyModelRuns.Together);
        float[][] found = TinyModelRuns.Run(model, ParallelDevices.Create(kind, count), TinyModelRuns.Together);
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
        float[][] together = TinyModelRuns.Run(model, ParallelDevices.Create(kind, count), TinyModelRuns.Together);
        float[][] alone = TinyModelRuns.Run(model, ParallelDevices.Create(kind, count), TinyModelRuns.Alone);
        for (int i = 0; i < alone.Length; i++) Assert.That(alone[i], Is.EqualTo(together[i]), $"answer {i}");
    }

    /// <summary>One model of each arrangement of blocks and of weights.</summary>
    private static string[] Arrangements => ["llama", "mixtral", "gemma2", "falcon 7B", "falcon RefinedWeb"];
}
