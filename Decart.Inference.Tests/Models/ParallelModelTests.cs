using System.Numerics.Tensors;
using System.Text.Json.Nodes;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Every family divided among ranks gives what one device gives.</summary>
[TestFixtureSource(typeof(ParallelDevices), nameof(ParallelDevices.Fixtures))]
[CancelAfter(120_000)]
internal sealed class ParallelModelTests(string kind, int count)
{
    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void Ranks_give_the_logits_of_one_device(string model) => AssertLogitsOfOneDevice(TinyModels.Config(model));

    /// <summary>With enough tokens ranks divide the output also where it is the embedding, which all of them have.</summary>
    [Test]
    public void Ranks_share_the_output_where_it_is_the_embedding()
    {
        int tokens = (128 * count) + 44;
        JsonObject json = TinyModels.Config("gemma2");
        json["vocab_size"] = tokens;
        AssertLogitsOfOneDevice(json);

        ModelConfig config = TinyCheckpoint.Read(json);
        using IBackend backend = ParallelDevices.Create(kind, count);
        backend.Divide(new ModelShape(config.Heads, config.KvHeads, config.HeadDim, BlockLength: 1));
        using RandomTensors source = new("random", seed: 5);
        using DecoderWeights weights = new(source, config, backend.Tensors, CancellationToken.None);
        Assert.That(weights.Output, Is.SameAs(weights.Embedding));
        int[] rows = [.. ((ParallelWeight)weights.Output).Outputs!.Select(part => part.Rows)];
        Assert.That((rows.Length, rows.Sum(), rows.Max()), Is.EqualTo((count, tokens, 128 + 44)).Or.EqualTo((count, tokens, 128)), "each has its part");
    }

    private void AssertLogitsOfOneDevice(JsonNode config)
    {
        float[][] expected = TinyModelRuns.Run(config, ParallelDevices.CreateOne(kind), TinyModelRuns.Together);
        float[][] found = TinyModelRuns.Run(config, ParallelDevices.Create(kind, count), TinyModelRuns.Together);
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
