using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels;
using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Models;

/// <summary>A model gives the same logits from a GGUF file as from the Hugging Face checkpoint that the file was converted from.</summary>
public class GgufModelTests
{
    private const int Seed = 3;
    private static readonly int[] Prompt = [5, 1, 90, 17, 17, 33, 64, 2, 8, 71, 45, 11];

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("llama", "llama")]
    [TestCase("llama tied, explicit head_dim", "llama")]
    [TestCase("llama llama3", "llama")]
    [TestCase("llama linear", "llama")]
    [TestCase("llama yarn", "llama")]
    [TestCase("mistral", "llama")]
    [TestCase("mixtral", "llama")]
    [TestCase("qwen2", "qwen2")]
    [TestCase("qwen3", "qwen3")]
    [TestCase("qwen3_moe", "qwen3moe")]
    [TestCase("phi3", "phi3")]
    [TestCase("gemma2", "gemma2")]
    [TestCase("falcon 7B", "falcon")]
    [TestCase("falcon 40B", "falcon")]
    [TestCase("falcon 2", "falcon")]
    public void The_converted_model_is_the_same(string model, string architecture)
    {
        JsonObject json = Convertible(model);
        string file = _folder.Write("model.gguf", Convert(json, architecture));
        Assert.That(Logits(ModelLoader.Open(file)), Is.EqualTo(Logits(json)).Within(1e-4f));
    }

    [Test]
    public void Experts_may_be_stored_one_by_one()
    {
        JsonObject json = TinyModels.Config("mixtral");
        string file = _folder.Write("model.gguf", Convert(json, "llama", separateExperts: true));
        Assert.That(Logits(ModelLoader.Open(file)), Is.EqualTo(Logits(json)).Within(1e-4f));
    }

    [TestCase("llama")]
    [TestCase("llama linear")]
    [TestCase("llama yarn")]
    public void The_attention_factor_counts_with_every_stretch(string model)
    {
        ModelConfig config = Read(TinyModels.Config(model));
        using RandomTensors weights = new("random", Seed);
        byte[] converted = new GgufConversion("llama", config, weights) { AttentionFactor = 1.25f }.Convert();
        using TensorSource source = ModelLoader.Open(_folder.Write("model.gguf", converted));
        Assert.That(ModelLoader.ReadConfig(source).Rotary!.AttentionFactor, Is.EqualTo(1.25 * config.Rotary!.AttentionFactor).Within(1e-6));
    }

    [Test]
    public void An_unknown_architecture_is_named_beside_the_known_ones()
    {
        string file = _folder.Write("model.gguf", Convert(TinyModels.Config("llama"), "mamba"));
        using TensorSource source = ModelLoader.Open(file);
        Assert.That(() => ModelLoader.ReadConfig(source), Throws.TypeOf<ModelLoadException>()
            .With.Property("Field").EqualTo("general.architecture")
            .And.Message.Contains("\"mamba\"").And.Message.Contains("falcon, gemma2, llama, phi3, qwen2, qwen3, qwen3moe"));
    }

    [Test]
    public void A_damaged_file_loads_or_is_refused()
    {
        byte[] original = Convert(TinyModels.Config("llama llama3"), "llama");
        Prop.ForAll(Mutation.Some(8192).ToArbitrary(), mutations =>
        {
            string file = _folder.Write("model.gguf", mutations.Aggregate(original, (bytes, mutation) => mutation.Apply(bytes)));
            try
            {
                using ReferenceBackend backend = new();
                using Decoder decoder = Decoders.Load(file, backend, 1, 1);
            }
            catch (ModelLoadException error)
            {
                Assert.That(error.File, Is.EqualTo(file));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    /// <summary>Without what GGUF files of the architecture cannot say.</summary>
    private static JsonObject Convertible(string model)
    {
        JsonObject json = TinyModels.Config(model);
        if (model == "qwen2") json["use_sliding_window"] = false;
        if (model == "qwen3_moe") json["decoder_sparse_step"] = 1;
        if (model == "gemma2") json["query_pre_attn_scalar"] = (int)json["head_dim"]!;
        return json;
    }

    private static byte[] Convert(JsonObject json, string architecture, bool separateExperts = false)
    {
        using RandomTensors weights = new("random", Seed);
        return new GgufConversion(architecture, Read(json), weights) { SeparateExperts = separateExperts }.Convert();
    }

    private static float[] Logits(JsonObject json) => Logits(new RandomTensors("random", Seed), Read(json));

    private static float[] Logits(TensorSource source) => Logits(source, ModelLoader.ReadConfig(source));

    private static float[] Logits(TensorSource source, ModelConfig config)
    {
        using ReferenceBackend backend = new();
        using Decoder decoder = Decoder.Load(source, config, backend, Prompt.Length, 1);
        return decoder.Generate(Prompt, 1).FirstLogits;
    }

    private static ModelConfig Read(JsonObject json) => ModelLoader.ReadHuggingFace("folder", JsonSerializer.SerializeToElement(json), null);
}
