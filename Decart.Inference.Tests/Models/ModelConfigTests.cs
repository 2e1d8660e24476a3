using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Kernels;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>Configurations become the description that the decoder needs, or are refused by name.</summary>
public class ModelConfigTests
{
    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void Every_family_is_recognised(string name)
    {
        ModelConfig config = Read(TinyModels.Config(name));
        Assert.That(config.Layers, Is.EqualTo(3));
        Assert.That(config.Windows, Has.Length.EqualTo(3));
        Assert.That(config.Heads % config.KvHeads, Is.Zero);
    }

    [Test]
    public void Windows_follow_the_family()
    {
        Assert.That(Read(TinyModels.Config("mistral")).Windows, Is.EqualTo(new[] { 5, 5, 5 }));
        Assert.That(Read(TinyModels.Config("qwen2")).Windows, Is.EqualTo(new[] { 0, 6, 6 }));
        Assert.That(Read(TinyModels.Config("gemma2")).Windows, Is.EqualTo(new[] { 6, 0, 6 }));
        JsonArray types = ["full_attention", "sliding_attention", "full_attention"];
        Assert.That(Read(With("gemma2", "layer_types", types)).Windows, Is.EqualTo(new[] { 0, 6, 0 }));
        Assert.That(Read(With("mistral", "sliding_window", null)).Windows, Is.EqualTo(new[] { 0, 0, 0 }));
    }

    [Test]
    public void Dense_layers_lie_between_the_sparse_ones()
    {
        ModelConfig config = Read(With("qwen3_moe", "mlp_only_layers", new JsonArray(1)));
        Assert.That(Enumerable.Range(0, 3).Select(config.HasExperts), Is.EqualTo(new[] { false, false, false }));
        config = Read(TinyModels.Config("qwen3_moe"));
        Assert.That(Enumerable.Range(0, 3).Select(config.HasExperts), Is.EqualTo(new[] { false, true, false }));
    }

    [Test]
    public void Generation_config_speaks_for_generation()
    {
        JsonObject generation = new() { ["eos_token_id"] = new JsonArray(7, 8), ["temperature"] = 0.6, ["top_k"] = 20, ["do_sample"] = true };
        ModelConfig config = ModelLoader.ReadHuggingFace("folder", Element(TinyModels.Config("llama")), Element(generation));
        Assert.That(config.EosTokenIds, Is.EqualTo(new[] { 7, 8 }));
        Assert.That(config.Generation, Is.EqualTo(new GenerationOptions { Temperature = 0.6f, TopK = 20 }));
        Assert.That(Read(TinyModels.Config("llama")).EosTokenIds, Is.EqualTo(new[] { 2, 3 }));
    }

    [TestCase("vocab_size", "0")]
    [TestCase("vocab_size", "\"96\"")]
    [TestCase("vocab_size", "1e12")]
    [TestCase("hidden_size", "33")]
    [TestCase("hidden_size", "32.5")]
    [TestCase("hidden_size", "99999999999999999999")]
    [TestCase("num_hidden_layers", "0")]
    [TestCase("num_hidden_layers", "1000000000")]
    [TestCase("num_hidden_layers", "true")]
    [TestCase("num_attention_heads", "-4")]
    [TestCase("num_key_value_heads", "3")]
    [TestCase("num_key_value_heads", "8")]
    [TestCase("head_dim", "7")]
    [TestCase("head_dim", "[8]")]
    [TestCase("intermediate_size", "{}")]
    [TestCase("max_position_embeddings", "0")]
    [TestCase("rms_norm_eps", "-1")]
    [TestCase("rms_norm_eps", "1e999")]
    [TestCase("rope_theta", "0")]
    [TestCase("hidden_act", "\"relu\"")]
    [TestCase("attention_bias", "1")]
    [TestCase("tie_word_embeddings", "\"no\"")]
    [TestCase("bos_token_id", "\"1\"")]
    [TestCase("eos_token_id", "[2, \"3\"]")]
    [TestCase("rope_scaling", "4")]
    public void A_wrong_field_is_named(string field, string? json)
    {
        JsonObject config = TinyModels.Config("llama");
        if (json is null) config.Remove(field);
        else config[field] = JsonNode.Parse(json);
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => Read(config))!;
        Assert.That(error.File, Is.EqualTo(Path.Combine("folder", "config.json")));
        Assert.That(error.Field, Is.EqualTo(field));
        Assert.That(error.Message, Does.Contain("expected"));
    }

    [TestCase("""{ "rope_type": "longrope", "factor": 2 }""", "rope_scaling.short_factor", "4 numbers")]
    [TestCase("""{ "type": "su", "short_factor": [1, 1, 1, 1], "long_factor": [1, 1, 1] }""", "rope_scaling.long_factor", "found a list of 3")]
    [TestCase("""{ "type": "longrope", "short_factor": [1, 1, 0, 1] }""", "rope_scaling.short_factor", "found 0")]
    [TestCase("""{ "type": "dynamic", "factor": 0.5 }""", "rope_scaling.factor", "found 0.5")]
    [TestCase("""{ "type": "proportional", "factor": 2 }""", "rope_scaling.type", "proportional")]
    [TestCase("""{ "type": "mrope", "mrope_section": [1, 2, 3] }""", "rope_scaling.type", "mrope")]
    [TestCase("""{ "type": "linear" }""", "rope_scaling.factor", "missing")]
    [TestCase("""{ "type": "linear", "factor": 0 }""", "rope_scaling.factor", "found 0")]
    [TestCase("""{ "type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4 }""", "rope_scaling.high_freq_factor", "greater")]
    [TestCase("""{ "full_attention": { "rope_type": "default" } }""", "rope_scaling.full_attention", "one rotary embedding")]
    public void An_unknown_stretch_of_the_rotary_embedding_is_refused(string scaling, string field, string words)
    {
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => Read(With("llama", "rope_scaling", JsonNode.Parse(scaling))))!;
        Assert.That(error.Field, Is.EqualTo(field));
        Assert.That(error.Message, Does.Contain(words));
    }

    [TestCase("gemma2", "layer_types", "[\"full_attention\"]")]
    [TestCase("gemma2", "layer_types", "[\"full_attention\", \"linear_attention\", \"full_attention\"]")]
    [TestCase("gemma2", "use_bidirectional_attention", "true")]
    [TestCase("mixtral", "num_experts_per_tok", "5")]
    [TestCase("qwen3_moe", "mlp_only_layers", "[-1]")]
    [TestCase("phi3", "partial_rotary_factor", "1.5")]
    [TestCase("falcon 7B", "num_ln_in_parallel_attn", "2")]
    [TestCase("falcon 40B", "parallel_attn", "false")]
    [TestCase("falcon 40B", "num_kv_heads", "3")]
    public void A_wrong_field_of_a_family_is_named(string model, string field, string json)
    {
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => Read(With(model, field, JsonNode.Parse(json))))!;
        Assert.That(error.Field, Is.EqualTo(field));
    }

    [Test]
    public void An_unknown_architecture_is_named_beside_the_known_ones()
    {
        ModelLoadException error = Assert.Throws<ModelLoadException>(() => Read(With("llama", "model_type", "mamba")))!;
        Assert.That(error.Field, Is.EqualTo("model_type"));
        Assert.That(error.Message, Does.Contain("\"mamba\"").And.Contain("RefinedWeb, RefinedWebModel, falcon, gemma2, llama, mistral, mixtral, phi3, qwen2, qwen3, qwen3_moe"));
        JsonObject without = TinyModels.Config("llama");
        without.Remove("model_type");
        Assert.That(() => Read(without), Throws.TypeOf<ModelLoadException>().With.Property("Field").EqualTo("model_type"));
    }

    [Test]
    public void Slopes_of_ALiBi_for_head_counts_that_are_and_are_not_powers_of_two()
    {
        Assert.That(Alibi.Slopes(8), Is.EqualTo(Enumerable.Range(1, 8).Select(i => MathF.Pow(2, -i))));
        Assert.That(Alibi.Slopes(6), Is.EqualTo(new[] { 1 / 4f, 1 / 16f, 1 / 64f, 1 / 256f, 1 / 2f, 1 / 8f }));
    }

    [Test]
    public void A_stretch_with_YaRN_reaches_the_stretched_context()
    {
        ModelConfig config = Read(TinyModels.Config("llama yarn"));
        RotaryParameters rotary = config.Rotary!.ToParameters();
        Assert.That(config.ContextLength, Is.EqualTo(128));
        Assert.That(rotary.Scale, Is.EqualTo(0.1f * MathF.Log(4) + 1).Within(1e-6));
        Assert.That(rotary.InverseFrequencies[0], Is.EqualTo(1f), "the fastest pair is kept");
        Assert.That(rotary.InverseFrequencies[^1], Is.EqualTo(0.001f / 4).Within(1e-9), "the slowest pair is stretched");
    }

    [TestCase("type", "longrope", null)]
    [TestCase("rope_type", "longrope", null)]
    [TestCase("type", "su", null)]
    [TestCase("type", "yarn", null)]
    [TestCase("rope_type", "longrope", 1.5)]
    public void Longrope_has_several_names_and_one_attention_factor(string field, string type, double? attentionFactor)
    {
        JsonObject scaling = new()
        {
            [field] = type,
            ["short_factor"] = new JsonArray(1, 1.5, 2, 4),
            ["long_factor"] = new JsonArray(1, 3, 9, 27.5),
            ["attention_factor"] = attentionFactor,
        };
        JsonObject config = With("phi3", "rope_scaling", scaling);
        config["original_max_position_embeddings"] = 32;
        config["partial_rotary_factor"] = 1;
        RotaryParameters rotary = Read(config).Rotary!.ToParameters();
        Assert.That(rotary.Scale, Is.EqualTo(attentionFactor ?? Math.Sqrt(1 + Math.Log(128 / 32) / Math.Log(32))).Within(1e-6));
        Assert.That(rotary.Frequencies(31, 0).ToArray(), Is.EqualTo(Frequencies(1, 1.5, 2, 4)).Within(1e-6));
        Assert.That(rotary.Frequencies(5, 33).ToArray(), Is.EqualTo(Frequencies(1, 3, 9, 27.5)).Within(1e-6));

        static float[] Frequencies(params double[] factors) => [.. factors.Select((factor, i) => (float)(1 / (factor * Math.Pow(10000, i / 4.0))))];
    }

    [Test]
    public void The_rope_parameters_of_transformers_5_say_all_in_one_place()
    {
        JsonObject config = With("phi3", "rope_parameters", JsonNode.Parse("""
            { "rope_type": "longrope", "rope_theta": 500.0, "partial_rotary_factor": 0.75, "original_max_position_embeddings": 64,
              "short_factor": [1, 1, 1], "long_factor": [2, 2, 2] }
            """));
        config.Remove("partial_rotary_factor");
        RotaryConfig rotary = Read(config).Rotary!;
        Assert.That((rotary.Theta, rotary.Dimensions, rotary.OriginalContextLength, rotary.Factor), Is.EqualTo((500.0, 6, 64, 2.0)));
    }

    [TestCase("""{ "rope_type": "yarn", "factor": 4, "mscale": 1.0, "mscale_all_dim": 0.5 }""", 1.06482)]
    [TestCase("""{ "rope_type": "yarn", "factor": 4, "mscale": 0.8, "mscale_all_dim": 0.8 }""", 1.0)]
    [TestCase("""{ "rope_type": "yarn", "factor": 4, "attention_factor": 1.25 }""", 1.25)]
    public void YaRN_takes_its_attention_factor_from_what_is_given(string scaling, double expected) =>
        Assert.That(Read(With("llama", "rope_scaling", JsonNode.Parse(scaling))).Rotary!.AttentionFactor, Is.EqualTo(expected).Within(2e-4));

    [TestCase("bfloat16")]
    [TestCase("float16")]
    [TestCase("float32")]
    public void Constants_are_float32_whatever_the_type_of_the_weights(string dtype)
    {
        JsonObject config = With("llama", "dtype", dtype);
        config["head_dim"] = 4;
        config["rope_theta"] = 100.0;
        Assert.That(Read(config).Rotary!.ToParameters().InverseFrequencies, Is.EqualTo(new[] { 1f, 0.1f }));
        Assert.That(Read(With("gemma2", "dtype", dtype)).EmbeddingScale, Is.EqualTo(MathF.Sqrt(32)));
    }

    private static JsonObject With(string model, string field, JsonNode? value)
    {
        JsonObject config = TinyModels.Config(model);
        config[field] = value;
        return config;
    }

    private static ModelConfig Read(JsonNode config) => ModelLoader.ReadHuggingFace("folder", Element(config), null);

    private static JsonElement Element(JsonNode node) => JsonSerializer.SerializeToElement(node);
}
