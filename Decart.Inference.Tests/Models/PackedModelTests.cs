using System.Text.Json.Nodes;
using Decart.Inference.Kernels.Gpu;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tests.Kernels.Gpu;

namespace Decart.Inference.Tests.Models;

/// <summary>A whole model of an emulated Hopper GPU whose weights, the embedding and so the output too, stay in the bits of their file.</summary>
internal sealed class PackedModelTests
{
    [Test]
    public void Logits_have_the_bits_of_widened_weights()
    {
        JsonObject json = TinyModels.Config("llama tied, explicit head_dim");
        json["intermediate_size"] = 64;
        json["num_hidden_layers"] = 1;
        ModelConfig config = TinyCheckpoint.Read(json);
        float[][] packed = Run(config, packs: true), widened = Run(config, packs: false);
        for (int i = 0; i < packed.Length; i++) Assert.That(packed[i], Is.EqualTo(widened[i]).And.Some.Not.Zero.And.None.NaN, $"answer {i}");
    }

    /// <summary>The logits after a prompt and after one more token.</summary>
    private static float[][] Run(ModelConfig config, bool packs)
    {
        using GpuBackend backend = new(new EmulatedDevice(tensorCores: true) { IsHopper = true, PacksWeights = packs });
        using Decoder decoder = Decoder.Load(
            new RandomTensors("random", seed: 5) { Types = new WeightTypes(WeightFormat.Q8_0, config) }, config, backend, maxBatchTokens: 8, maxBatchSequences: 1, CancellationToken.None);
        using KvRanges ranges = new(backend, decoder.KvLayout, 1, 64);
        return [decoder.Prefill(ranges[0], [5, 17, 90, 3, 8]), decoder.Prefill(ranges[0], [7], firstPosition: 5)];
    }
}
