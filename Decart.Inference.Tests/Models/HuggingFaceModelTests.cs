using System.Text.Json.Nodes;
using Decart.Inference.Models;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Kernels;
using FsCheck;
using FsCheck.Fluent;

namespace Decart.Inference.Tests.Models;

/// <summary>A Hugging Face folder loads whole or is refused by the name of what is wrong.</summary>
public class HuggingFaceModelTests
{
    private static readonly int[] Prompt = [5, 1, 90, 17, 33, 64];

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void A_written_checkpoint_loads_with_its_weights(string model)
    {
        TinyCheckpoint checkpoint = new(model);
        checkpoint.Write(_folder);
        ModelConfig config = TinyCheckpoint.Read(checkpoint.Config);
        using ReferenceBackend backend = new();
        using Decoder written = Decoders.Load(_folder.Path, backend, Prompt.Length, 1);
        using Decoder original = Decoder.Load(TinyCheckpoint.Weights(config), config, backend, Prompt.Length, 1);
        Assert.That(written.Generate(Prompt, 1).FirstLogits, Is.EqualTo(original.Generate(Prompt, 1).FirstLogits));
    }

    [TestCase("llama")]
    [TestCase("qwen3_moe")]
    [TestCase("falcon RefinedWeb")]
    public void A_missing_tensor_is_named(string model) => EachTensorDamaged(model, (header, name) => Rename(header, name, "another"));

    [TestCase("llama")]
    [TestCase("gemma2")]
    [TestCase("falcon 40B")]
    public void A_tensor_of_another_shape_is_named(string model) => EachTensorDamaged(model, (header, name) => Shape(header, name).Insert(0, 1));

    [TestCase("llama")]
    [TestCase("mixtral")]
    public void A_tensor_of_integers_is_named(string model) => EachTensorDamaged(model, (header, name) => header[name]!["dtype"] = "I16");

    [Test]
    public void A_tied_embedding_may_be_stored_under_either_name()
    {
        TinyCheckpoint under(string from, string to) => new("llama tied, explicit head_dim") { Damage = header => Rename(header, from, to) };
        under("model.embed_tokens.weight", "model.embed_tokens.weight").Write(_folder);
        float[] expected = Logits();
        under("model.embed_tokens.weight", "lm_head.weight").Write(_folder);
        Assert.That(Logits(), Is.EqualTo(expected));
        under("model.embed_tokens.weight", "neither").Write(_folder);
        Assert.That(Logits, Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo("model.embed_tokens.weight"));
    }

    [TestCase("llama tied, explicit head_dim")]
    [TestCase("falcon 7B")]
    public void A_model_that_was_saved_without_its_head_loads(string model)
    {
        new TinyCheckpoint(model).Write(_folder);
        float[] expected = Logits();
        new TinyCheckpoint(model) { Damage = WithoutPrefixes }.Write(_folder);
        Assert.That(Logits(), Is.EqualTo(expected));

        static void WithoutPrefixes(JsonObject header)
        {
            foreach (string name in header.Select(entry => entry.Key).ToArray()) Rename(header, name, name[(name.IndexOf('.') + 1)..]);
        }
    }

    [TestCase("mixtral")]
    [TestCase("qwen3_moe")]
    public void Experts_may_be_stored_as_two_tensors_a_layer(string model)
    {
        new TinyCheckpoint(model).Write(_folder);
        float[] expected = Logits();
        new TinyCheckpoint(model) { StackExperts = true }.Write(_folder);
        Assert.That(Logits(), Is.EqualTo(expected));
    }

    [Test]
    public void A_damaged_configuration_loads_or_is_refused()
    {
        TinyCheckpoint checkpoint = new("llama llama3");
        checkpoint.Write(_folder);
        string path = Path.Combine(_folder.Path, "config.json");
        byte[] original = File.ReadAllBytes(path);
        Prop.ForAll(Mutation.Some(original.Length).ToArbitrary(), mutations =>
        {
            File.WriteAllBytes(path, mutations.Aggregate(original, (bytes, mutation) => mutation.Apply(bytes)));
            try
            {
                Assert.That(Logits(), Has.Length.EqualTo(96));
            }
            catch (ModelLoadException error)
            {
                Assert.That(error.File, Does.StartWith(_folder.Path));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(400));
    }

    [Test]
    public void Loading_can_be_cancelled()
    {
        new TinyCheckpoint("llama").Write(_folder);
        using ReferenceBackend backend = new();
        CancellationToken cancelled = new(canceled: true);
        Assert.That(() => Decoders.Load(_folder.Path, backend, 1, 1, cancelled), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void A_path_with_nothing_there_is_named()
    {
        string path = Path.Combine(_folder.Path, "nowhere");
        using ReferenceBackend backend = new();
        Assert.That(() => Decoders.Load(path, backend, 1, 1), Throws.TypeOf<ModelLoadException>().With.Property("File").EqualTo(path));
    }

    private void EachTensorDamaged(string model, Action<JsonObject, string> damage)
    {
        using RandomTensors weights = TinyCheckpoint.Weights(TinyCheckpoint.Read(TinyModels.Config(model)));
        foreach (string name in weights.Names)
        {
            new TinyCheckpoint(model) { Damage = header => damage(header, name) }.Write(_folder);
            ModelLoadException error = Assert.Throws<ModelLoadException>(() => Logits())!;
            Assert.That(error.Field, Is.EqualTo(name));
            Assert.That(error.Message, Does.Contain("expected").And.Contain("found"));
        }
    }

    private float[] Logits()
    {
        using ReferenceBackend backend = new();
        using Decoder decoder = Decoders.Load(_folder.Path, backend, Prompt.Length, 1);
        return decoder.Generate(Prompt, 1).FirstLogits;
    }

    private static JsonArray Shape(JsonObject header, string name) => (JsonArray)header[name]!["shape"]!;

    private static void Rename(JsonObject header, string from, string to)
    {
        JsonNode tensor = header[from]!;
        header.Remove(from);
        header[to] = tensor;
    }
}
