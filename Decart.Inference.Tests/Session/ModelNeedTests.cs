using Decart.Inference.Checkpoints;
using Decart.Inference.Loading;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Session;

/// <summary>What <see cref="Device.Auto"/> chooses a number of GPUs by.</summary>
internal sealed class ModelNeedTests
{
    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void Every_matrix_of_a_model_is_counted(string model)
    {
        ModelConfig config = TinyCheckpoint.Read(TinyModels.Config(model));
        using RandomTensors weights = TinyCheckpoint.Weights(config);
        long elements = weights.Names.Sum(name => weights.TryGet(name, out StoredTensor tensor) && tensor.Shape.Length > 1 ? tensor.Rows * tensor.Columns : 0);
        Assert.That(ModelNeed.Of(weights, config).WidenedBytes, Is.EqualTo(2 * elements));
    }

    /// <summary>A 70B model on GPUs of 141 GB: as halves on two, in 4 bits on one.</summary>
    [TestCase(null, 2)]
    [TestCase(WeightFormat.Fp8, 1)]
    [TestCase(WeightFormat.Int8, 1)]
    [TestCase(WeightFormat.Int4, 1)]
    [TestCase(WeightFormat.Q4_K_M, 1)]
    public void Gpus_are_chosen_by_the_bits_that_weights_keep(WeightFormat? format, int expected)
    {
        ModelConfig config = TinyCheckpoint.Read(TinyModels.Config("llama")) with
        {
            HiddenSize = 8192,
            IntermediateSize = 28672,
            Layers = 80,
            Heads = 64,
            KvHeads = 8,
            HeadDim = 128,
            VocabularySize = 32000,
            Windows = ModelConfig.SameWindows(80, 0),
        };
        using RandomTensors source = new("random", seed: 1) { Types = format is { } named ? new WeightTypes(named, config) : null };
        ModelNeed need = ModelNeed.Of(source, config);
        Assert.That(need.WidenedBytes / 1e9, Is.EqualTo(138).Within(1));
        Assert.That(DeviceChoice.CountFor(need, packs: true, free: 139L << 30, gpus: 4), Is.EqualTo(expected));
        Assert.That(DeviceChoice.CountFor(need, packs: false, free: 139L << 30, gpus: 4), Is.EqualTo(2));
    }

    [NeedsFixtures]
    [TestCase("gguf/SmolLM2-135M-Instruct-Q4_1.gguf", 5, 7)]
    [TestCase("gguf/TinyStories-656K-q8_0.gguf", 8.5, 12)]
    [TestCase("gguf/TinyStories-656K-bf16.gguf", 16, 16.5)]
    [TestCase("quantised/fp8-block128", 8, 15)]
    [TestCase("quantised/compressed-w8a8-int8", 8, 15)]
    [TestCase("quantised/gptq-int4-g128", 4.1, 14)]
    public void Files_need_their_bits(string file, double least, double most)
    {
        using TensorSource source = ModelLoader.Open(Fixtures.Path(file.Split('/')));
        ModelNeed need = ModelNeed.Of(source, ModelLoader.ReadConfig(source));
        Assert.That(16.0 * need.PackedBytes / need.WidenedBytes, Is.InRange(least, most));
    }
}
