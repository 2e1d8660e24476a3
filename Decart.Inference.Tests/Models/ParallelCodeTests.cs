using System.Text.Json.Nodes;
using Decart.Inference.Kernels;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Kernels.TensorParallel;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>Weights of 8 and 4 bits and activations of 8, divided among two emulated Hopper GPUs: each rounds its own part of what is divided by columns.</summary>
internal sealed class ParallelCodeTests
{
    private static readonly int[] Prompt = [5, 17];

    [Test]
    public void Ranks_give_about_the_logits_of_one_device_and_the_same_bits_token_by_token([Values(WeightFormat.Fp8, WeightFormat.Int8, WeightFormat.Int4)] WeightFormat format)
    {
        float[] one = Run(Open(rank: 0), format, Prompt.Length), together = Run(Ranks(), format, Prompt.Length), alone = Run(Ranks(), format, 1);
        float difference = DecoderRuns.MaxDifference(one, together);
        TestContext.Out.WriteLine($"largest logit difference {difference:g3} of {one.Max(Math.Abs):g3}");
        Assert.That(difference, Is.GreaterThan(0).And.LessThan(format == WeightFormat.Int4 ? 0.035f : 0.02f), "another rounding, and no more");
        Assert.That(alone, Is.EqualTo(together).And.Some.Not.Zero.And.None.NaN);
    }

    private static ParallelBackend Ranks() => ParallelDevices.OfGpus([Open(rank: 0), Open(rank: 1)]);

    private static GpuBackend Open(int rank) => new(new EmulatedDevice(tensorCores: true, rank: rank) { IsHopper = true, PacksWeights = true }, eightBitActivations: true);

    /// <summary>The logits after the prompt, some tokens at a time.</summary>
    private static float[] Run(IBackend device, WeightFormat format, int tokensAtOnce)
    {
        JsonObject json = TinyModels.Config("llama");
        (json["num_hidden_layers"], json["hidden_size"], json["intermediate_size"]) = (1, 128, 256);
        ModelConfig config = TinyCheckpoint.Read(json);
        using IBackend backend = device;
        using Decoder decoder = Decoder.Load(
            new RandomTensors("random", seed: 5) { Types = new WeightTypes(format, config) }, config, backend, maxBatchTokens: 8, maxBatchSequences: 1, CancellationToken.None);
        using KvRanges ranges = new(backend, decoder.KvLayout, 1, 64);
        float[] logits = [];
        for (int first = 0; first < Prompt.Length; first += tokensAtOnce) logits = decoder.Prefill(ranges[0], Prompt.AsSpan(first, tokensAtOnce), firstPosition: first);
        return logits;
    }
}
