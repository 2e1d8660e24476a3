using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Embeddings;
using Decart.Inference.Models;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Embeddings;

/// <summary>What the files of sentence-transformers and GGUF metadata say of pooling.</summary>
public class CheckpointPoolingTests
{
    private const string Modules = """
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
         {"idx": 1, "name": "1", "path": "PATH", "type": "sentence_transformers.models.Pooling"},
         {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
        """;

    private const string Last = """{"word_embedding_dimension": 32, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": false, "pooling_mode_lasttoken": true, "include_prompt": true}""";

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder()
    {
        _folder = new TemporaryFolder();
        new TinyCheckpoint("llama").Write(_folder);
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("""{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}""", EmbeddingPooling.Mean)]
    [TestCase(Last, EmbeddingPooling.LastToken)]
    [TestCase("""{"pooling_mode_cls_token": true}""", EmbeddingPooling.Cls)]
    [TestCase("""{"embedding_dimension": 32, "pooling_mode": "lasttoken"}""", EmbeddingPooling.LastToken)]
    [TestCase("""{"pooling_mode": "cls"}""", EmbeddingPooling.Cls)]
    [TestCase("""{"pooling_mode": "mean"}""", EmbeddingPooling.Mean)]
    [TestCase("{}", EmbeddingPooling.Mean)]
    public void The_pooling_of_sentence_transformers_is_read(string config, EmbeddingPooling expected)
    {
        Assert.That(Read(), Is.EqualTo(EmbeddingPooling.Mean), "nothing is said");
        Write("1_Pooling", config);
        Assert.That(Read(), Is.EqualTo(expected));
        _folder.Write("modules.json", Modules.Replace("PATH", "2_Pooling", StringComparison.Ordinal));
        Assert.That(Read, Throws.TypeOf<NotSupportedException>().With.InnerException.TypeOf<ModelLoadException>().And.Message.Contains(Path.Combine("2_Pooling", "config.json")), "the module's folder is another");
        Write("2_Pooling", config);
        Assert.That(Read(), Is.EqualTo(expected));
    }

    [TestCase("""{"pooling_mode_max_tokens": true}""", "max_tokens")]
    [TestCase("""{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}""", "cls_token")]
    [TestCase("""{"pooling_mode": "weightedmean"}""", "weightedmean")]
    [TestCase("""{"pooling_mode_mean_tokens": 1}""", "pooling_mode_mean_tokens")]
    [TestCase("[]", "JSON object")]
    [TestCase("{", "malformed")]
    public void Pooling_that_is_not_there_is_refused_with_its_name(string config, string named)
    {
        Write("1_Pooling", config);
        Assert.That(Read, Throws.TypeOf<NotSupportedException>().With.Message.Contains(named).And.Message.Contains("EmbeddingOptions.Pooling"));
    }

    [TestCase("""[{"type": "sentence_transformers.models.Transformer", "path": ""}, {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]""", "Dense")]
    [TestCase("""[{"type": "sentence_transformers.models.Pooling", "path": "../other"}]""", "../other")]
    [TestCase("""[{"type": "sentence_transformers.models.Pooling", "path": ".."}]""", "'..'")]
    [TestCase("""[{"type": "sentence_transformers.models.Pooling"}]""", "path")]
    [TestCase("""[{"type": 1}]""", "type")]
    [TestCase("""[{}]""", "null")]
    [TestCase("""[1]""", "JSON object")]
    [TestCase("""{}""", "JSON array")]
    public void Modules_that_are_not_there_are_refused_with_their_names(string modules, string named)
    {
        _folder.Write("modules.json", modules);
        Assert.That(Read, Throws.TypeOf<NotSupportedException>().With.Message.Contains(named).And.Message.Contains("EmbeddingOptions.Pooling"));
    }

    [Test]
    public async Task A_session_takes_the_checkpoints_pooling_unless_it_is_told_otherwise()
    {
        Write("1_Pooling", Last);
        LlmSessionOptions options = new() { Device = Device.Cpu };
        int[] prompt = [5, 17, 90, 3];
        float[] last;
        await using (LlmSession session = await LlmSession.LoadAsync(_folder.Path, options))
        {
            last = await session.EmbedAsync(prompt);
            Assert.That(session.Model.HiddenSize, Is.EqualTo(32));
            Assert.That(last, Has.Length.EqualTo(32));
            Assert.That(await session.EmbedAsync(prompt, new() { Pooling = EmbeddingPooling.LastToken }), Is.EqualTo(last));
            Assert.That(await session.EmbedAsync(prompt, new() { Pooling = EmbeddingPooling.Mean }), Is.Not.EqualTo(last));
        }
        Write("1_Pooling", """{"pooling_mode": "max"}""");
        await using (LlmSession session = await LlmSession.LoadAsync(_folder.Path, options))
        {
            await Assert.ThatAsync(() => session.EmbedAsync(prompt), Throws.TypeOf<NotSupportedException>().With.Message.Contains("max"));
            Assert.That(await session.EmbedAsync(prompt, new() { Pooling = EmbeddingPooling.LastToken }), Is.EqualTo(last));
            Assert.That(await session.NextTokenLogitsAsync(prompt), Has.Length.EqualTo(96), "the rest of the model works");
        }
    }

    [Test]
    public async Task A_model_that_was_saved_without_its_head_embeds_and_does_no_more()
    {
        int[] prompt = [5, 17, 90, 3];
        float[] expected;
        await using (LlmSession whole = await LlmSession.LoadAsync(_folder.Path, new() { Device = Device.Cpu })) expected = await whole.EmbedAsync(prompt);
        new TinyCheckpoint("llama") { Damage = WithoutHead }.Write(_folder);
        await using LlmSession session = await LlmSession.LoadAsync(_folder.Path, new() { Device = Device.Cpu });
        await session.WarmUpAsync(CancellationToken.None);
        Assert.That(await session.EmbedAsync(prompt), Is.EqualTo(expected));
        await Assert.ThatAsync(() => session.GenerateAsync(prompt), Refused());
        Assert.That(() => session.StreamAsync(prompt), Refused());
        await Assert.ThatAsync(() => session.NextTokenLogitsAsync(prompt), Refused());
        await Assert.ThatAsync(() => session.ScoreAsync(prompt), Refused());
        await Assert.ThatAsync(() => session.StartConversation().GenerateAsync(prompt), Refused());

        static NUnit.Framework.Constraints.IResolveConstraint Refused() => Throws.TypeOf<NotSupportedException>().With.Message.Contains("without its output matrix");

        static void WithoutHead(JsonObject header)
        {
            foreach (string name in header.Select(entry => entry.Key).ToArray())
            {
                JsonNode entry = header[name]!;
                header.Remove(name);
                header[name == "lm_head.weight" ? "unused" : name["model.".Length..]] = entry;
            }
        }
    }

    [Test]
    public void A_model_that_attends_both_ways_is_refused()
    {
        TinyCheckpoint checkpoint = new("llama");
        checkpoint.Config["is_causal"] = false;
        checkpoint.Write(_folder);
        Assert.That(Read, Throws.TypeOf<NotSupportedException>().With.Message.Contains("both directions"));
    }

    [TestCase(null, EmbeddingPooling.Mean)]
    [TestCase(0, EmbeddingPooling.Mean)]
    [TestCase(1, EmbeddingPooling.Mean)]
    [TestCase(2, EmbeddingPooling.Cls)]
    [TestCase(3, EmbeddingPooling.LastToken)]
    public void The_pooling_of_GGUF_files_is_read(int? type, EmbeddingPooling expected) =>
        Assert.That(ReadGguf(file => AddType(file, type)), Is.EqualTo(expected));

    [Test]
    public void Pooling_of_GGUF_files_that_is_not_there_is_refused()
    {
        Assert.That(() => ReadGguf(file => AddType(file, 4)), Throws.TypeOf<NotSupportedException>().With.Message.Contains("type 4"));
        Assert.That(
            () => ReadGguf(file => file.Add("llama.attention.causal", GgufValueKind.Boolean, writer => writer.Write(false))),
            Throws.TypeOf<NotSupportedException>().With.Message.Contains("both directions"));
    }

    private static void AddType(GgufBytes file, int? type)
    {
        if (type is { } number) file.Add("llama.pooling_type", GgufValueKind.UInt32, writer => writer.Write(number));
    }

    private EmbeddingPooling ReadGguf(Action<GgufBytes> more)
    {
        ModelConfig config = TinyCheckpoint.Read(TinyModels.Config("llama tied, explicit head_dim"));
        using RandomTensors weights = TinyCheckpoint.Weights(config);
        string path = _folder.Write("model.gguf", new GgufConversion("llama", config, weights) { More = more }.Convert());
        using TensorSource source = ModelLoader.Open(path);
        return CheckpointPooling.Read(source);
    }

    private EmbeddingPooling Read()
    {
        using TensorSource source = ModelLoader.Open(_folder.Path);
        return CheckpointPooling.Read(source);
    }

    private void Write(string folder, string config)
    {
        Directory.CreateDirectory(Path.Combine(_folder.Path, folder));
        _folder.Write(Path.Combine(folder, "config.json"), config);
    }
}
