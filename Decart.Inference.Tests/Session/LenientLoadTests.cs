using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Models;
using Decart.Inference.Tests.Checkpoints;
using Decart.Inference.Tests.Models;
using Decart.Inference.Tests.Tokenization;
using Microsoft.Extensions.Logging;

namespace Decart.Inference.Tests.Session;

/// <summary>What files of the world say wrongly, but without consequence, is passed over; where somebody should know, the log says it.</summary>
[CancelAfter(120_000)]
internal sealed class LenientLoadTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void CreateFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("eos_token_id", "[2, -1, 96, 4294967295]", "eos_token_id: expected ids below 96")]
    [TestCase("eos_token_id", "4294967295", "found 4294967295")]
    [TestCase("temperature", "-1", "temperature")]
    [TestCase("temperature", "1e9", "temperature")]
    [TestCase("temperature", "\"warm\"", "temperature")]
    [TestCase("do_sample", "\"yes\"", "do_sample")]
    [TestCase("top_k", "-1", "top_k")]
    [TestCase("top_p", "0", "top_p")]
    [TestCase("top_p", "1.5", "top_p")]
    [TestCase("min_p", "2", "min_p")]
    [TestCase("repetition_penalty", "0", "repetition_penalty")]
    [TestCase("repetition_penalty", "-2.5", "repetition_penalty")]
    public async Task A_recommendation_that_cannot_be_used_is_ignored(string field, string value, string warning)
    {
        new TinyCheckpoint("llama").Write(_folder);
        _folder.Write("generation_config.json", $$"""{ "{{field}}": {{value}} }""");
        Assert.That(await LoadAndGenerateAsync(), Has.Some.Contains(warning).And.Some.Contains("generation_config.json"));
    }

    [TestCase("bos_token_id", "-1")]
    [TestCase("eos_token_id", "96")]
    public async Task A_special_id_that_no_token_has_is_ignored(string field, string value)
    {
        TinyCheckpoint checkpoint = new("llama");
        checkpoint.Config[field] = JsonNode.Parse(value);
        checkpoint.Write(_folder);
        Assert.That(await LoadAndGenerateAsync(), Has.Some.Contains(field));
    }

    [Test]
    public async Task Warnings_do_not_grow_with_what_is_ignored()
    {
        const int LongestWarning = 1000;
        new TinyCheckpoint("llama").Write(_folder);
        _folder.Write("tokenizer.json", TinyTokenizer.ByteLevel().ToJsonString());
        _folder.Write("generation_config.json", JsonSerializer.Serialize(new { eos_token_id = Enumerable.Range(1000, 10_000) }));
        _folder.Write("tokenizer_config.json", JsonSerializer.Serialize(new { eos_token = new string('x', 100_000) }));
        string[] warnings = await LoadAndGenerateAsync();
        Assert.That(warnings, Has.Exactly(3).Items.And.All.Length.LessThan(LongestWarning + 2 * _folder.Path.Length));
    }

    [Test]
    public async Task The_unset_id_of_a_converter_is_ignored_in_GGUF_files()
    {
        byte[] file = File.ReadAllBytes(Fixtures.Field("unclear-messages-for-common-mistakes", "folder-of-a-gguf", "tiny-F16.gguf"));
        foreach (string key in (string[])["tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"])
        {
            int at = file.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(key));
            Assert.That(at, Is.GreaterThan(0));
            file.AsSpan(at + key.Length + sizeof(uint), sizeof(uint)).Fill(0xFF);
        }
        string path = _folder.Write("model.gguf", file);
        Assert.That(await LoadAndGenerateAsync(path), Has.Some.Contains("bos_token_id").And.Some.Contains("4294967295"));
    }

    [Test]
    public async Task An_index_may_list_a_tensor_that_nobody_needs()
    {
        string folder = Fixtures.Field("sharded-index-differs-from-shards", "lists-tied-lm-head");
        JsonElement expected = JsonDocument.Parse(File.ReadAllText(Fixtures.Field("sharded-index-differs-from-shards", "expected.json"))).RootElement;
        int[] prompt = expected.GetProperty("prompt").Deserialize<int[]>()!, greedy = expected.GetProperty("greedy").Deserialize<int[]>()!;
        using RecordingLog log = new();
        await using LlmSession session = await LlmSession.LoadAsync(folder, new() { Device = Device.Cpu, LoggerFactory = log });
        GenerationOptions options = new() { Temperature = 0, IgnoreEndOfText = true, MaxTokens = greedy.Length };
        Assert.That((await session.GenerateAsync(prompt, options)).TokenIds, Is.EqualTo(greedy));
        Assert.That(log.Messages(LogLevel.Warning), Has.Some.Contains("lm_head.weight"));
    }

    [Test]
    public async Task Layers_that_are_not_used_are_warned_about()
    {
        TinyCheckpoint checkpoint = new("llama");
        checkpoint.Write(_folder);
        Assert.That(await LoadAndGenerateAsync(), Is.Empty);
        checkpoint.Config["num_hidden_layers"] = 2;
        _folder.Write("config.json", checkpoint.Config.ToJsonString());
        Assert.That(await LoadAndGenerateAsync(), Has.One.Contains("2 layers").And.One.Contains("model.layers.2."));
    }

    [Test]
    public async Task An_output_matrix_that_is_not_used_is_warned_about()
    {
        TinyCheckpoint checkpoint = new("llama");
        checkpoint.Write(_folder);
        checkpoint.Config["tie_word_embeddings"] = true;
        _folder.Write("config.json", checkpoint.Config.ToJsonString());
        Assert.That(await LoadAndGenerateAsync(), Has.One.Contains("lm_head.weight"));
    }

    [TestCase("llama", "max_position_embeddings", 2048)]
    [TestCase("mistral", "max_position_embeddings", 131072)]
    [TestCase("qwen2", "max_position_embeddings", 32768)]
    [TestCase("qwen3", "max_position_embeddings", 32768)]
    [TestCase("phi3", "max_position_embeddings", 4096)]
    [TestCase("gemma2", "max_position_embeddings", 8192)]
    [TestCase("llama", "vocab_size", 32000)]
    [TestCase("phi3", "vocab_size", 32064)]
    [TestCase("gemma2", "vocab_size", 256000)]
    [TestCase("falcon 7B", "vocab_size", 65024)]
    [TestCase("qwen3_moe", "num_hidden_layers", 24)]
    [TestCase("llama", "intermediate_size", 11008)]
    [TestCase("mixtral", "intermediate_size", 14336)]
    [TestCase("llama", "num_key_value_heads", 4)]
    [TestCase("gemma2", "num_key_value_heads", 4)]
    [TestCase("gemma2", "head_dim", 256)]
    [TestCase("qwen3", "head_dim", 128)]
    [TestCase("qwen3_moe", "head_dim", 8)]
    [TestCase("mixtral", "num_local_experts", 8)]
    [TestCase("qwen3_moe", "num_experts", 128)]
    [TestCase("qwen3_moe", "moe_intermediate_size", 768)]
    public void A_field_that_is_left_out_takes_what_its_family_documents(string model, string field, int expected)
    {
        JsonObject json = TinyModels.Config(model);
        json.Remove(field);
        ModelConfig config = TinyCheckpoint.Read(json);
        int found = field switch
        {
            "vocab_size" => config.VocabularySize,
            "num_hidden_layers" => config.Layers,
            "intermediate_size" => config.IntermediateSize,
            "num_key_value_heads" => config.KvHeads,
            "head_dim" => config.HeadDim,
            "num_local_experts" or "num_experts" => config.Experts!.Count,
            "moe_intermediate_size" => config.Experts!.IntermediateSize,
            _ => config.ContextLength,
        };
        Assert.That(found, Is.EqualTo(expected));
    }

    /// <summary>Loads and generates a little; gives the warnings.</summary>
    private async Task<string[]> LoadAndGenerateAsync(string? path = null)
    {
        using RecordingLog log = new();
        await using LlmSession session = await LlmSession.LoadAsync(path ?? _folder.Path, new() { Device = Device.Cpu, LoggerFactory = log });
        await session.GenerateAsync(new[] { 5, 7, 9 }, new() { MaxTokens = 4, Seed = 1, IgnoreEndOfText = true });
        return [.. log.Messages(LogLevel.Warning)];
    }
}
