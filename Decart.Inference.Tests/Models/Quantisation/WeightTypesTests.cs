using System.Text.Json.Nodes;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;

namespace Decart.Inference.Tests.Models.Quantisation;

/// <summary>Which matrix has which type in a format.</summary>
internal sealed class WeightTypesTests
{
    private const string Llama2 = """
        { "model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
          "max_position_embeddings": 4096, "rms_norm_eps": 1e-5 }
        """;
    private const string Llama3 = """
        { "model_type": "llama", "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
          "max_position_embeddings": 8192, "rms_norm_eps": 1e-5 }
        """;
    private const string Llama70B = """
        { "model_type": "llama", "vocab_size": 32000, "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
          "max_position_embeddings": 4096, "rms_norm_eps": 1e-5 }
        """;
    private const string Mixtral = """
        { "model_type": "mixtral", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
          "num_local_experts": 8, "num_experts_per_tok": 2, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5 }
        """;
    private const string Falcon = """
        { "model_type": "falcon", "vocab_size": 65024, "hidden_size": 14848, "num_hidden_layers": 80, "num_attention_heads": 232, "num_kv_heads": 8, "new_decoder_architecture": true,
          "tie_word_embeddings": false }
        """;

    /// <summary>Gigabytes as the Hugging Face Hub's pages of such files give them; norms and the vocabulary, which come on top of the matrices, are a thousandth of them.</summary>
    [TestCase(Llama2, WeightFormat.Q4_0, 3.83)]
    [TestCase(Llama2, WeightFormat.Q5_0, 4.65)]
    [TestCase(Llama2, WeightFormat.Q4_K_M, 4.08)]
    [TestCase(Llama2, WeightFormat.Q5_K_M, 4.78)]
    [TestCase(Llama2, WeightFormat.Q6_K, 5.53)]
    [TestCase(Llama2, WeightFormat.Q8_0, 7.16)]
    [TestCase(Llama3, WeightFormat.Q4_K_M, 4.92)]
    [TestCase(Llama3, WeightFormat.Q8_0, 8.54)]
    [TestCase(Llama70B, WeightFormat.Q4_K_M, 41.42)]
    [TestCase(Mixtral, WeightFormat.Q4_K_M, 28.45)]
    [TestCase(Falcon, WeightFormat.Q4_K_M, 108.48)]
    public void Files_of_a_format_have_their_published_size(string json, WeightFormat format, double gigabytes)
    {
        ModelConfig config = Read(json);
        WeightTypes types = new(format, config);
        double bytes = Shapes(config).Sum(matrix => (double)matrix.Rows * matrix.Columns * BytesPerWeight(types.Of(matrix.Name, matrix.Columns) ?? TensorType.F32));
        Assert.That(bytes / 1e9, Is.EqualTo(gigabytes).Within(0.4).Percent);
    }

    [TestCase(WeightFormat.Fp8, TensorType.E4M3x64, TensorType.E4M3x32)]
    [TestCase(WeightFormat.Int8, TensorType.Int8x64, TensorType.Int8x32)]
    [TestCase(WeightFormat.Int4, TensorType.Int4x64, TensorType.Int4x32)]
    public void Formats_of_folders_are_those_of_layers_alone(WeightFormat format, TensorType type, TensorType shorter)
    {
        WeightTypes types = new(format, Read(Llama3));
        Assert.That(types.Of("model.layers.31.mlp.down_proj.weight", 14336), Is.EqualTo(type));
        Assert.That(types.Of("model.layers.0.self_attn.v_proj.weight", 96), Is.EqualTo(shorter), "rows are no multiple of 64");
        foreach (string other in (string[])["model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", "model.layers.32.mlp.down_proj.weight"])
            Assert.That(types.Of(other, 4096), Is.Null, other);
        Assert.That(types.Of("model.layers.0.self_attn.v_proj.weight", 72), Is.Null, "nor of 32");
        Assert.That(new WeightTypes(format, Read(Mixtral)).Of("model.layers.1.block_sparse_moe.experts.7.w2.weight", 14336), Is.EqualTo(type));
        Assert.That(new WeightTypes(format, Read(Mixtral)).Of("model.layers.1.block_sparse_moe.gate.weight", 4096), Is.Null);
    }

    [Test]
    public void Rows_that_are_no_multiple_of_256_have_blocks_of_32()
    {
        WeightTypes types = new(WeightFormat.Q4_K_M, Read(Llama3));
        const string Values = "model.layers.0.self_attn.v_proj.weight", Gate = "model.layers.0.mlp.gate_proj.weight";
        Assert.That((types.Of(Gate, 4096), types.Of(Gate, 576), types.Of(Gate, 100)), Is.EqualTo(((TensorType?)TensorType.Q4_K, (TensorType?)TensorType.Q5_0, (TensorType?)null)));
        Assert.That((types.Of(Values, 4096), types.Of(Values, 576)), Is.EqualTo(((TensorType?)TensorType.Q6_K, (TensorType?)TensorType.Q8_0)));
        Assert.That(new WeightTypes(WeightFormat.Q5_K, Read(Llama3)).Of(Gate, 576), Is.EqualTo(TensorType.Q5_1));
    }

    private static double BytesPerWeight(TensorType type) => (double)type.BlockBytes() / type.BlockLength();

    private static ModelConfig Read(string json) => TinyCheckpoint.Read((JsonObject)JsonNode.Parse(json)!);

    private static IEnumerable<(string Name, long Rows, int Columns)> Shapes(ModelConfig config)
    {
        WeightNames names = config.Names;
        int hidden = config.HiddenSize, queries = config.Heads * config.HeadDim, keys = config.KvHeads * config.HeadDim, inner = config.IntermediateSize;
        yield return ($"{names.Embedding}.weight", config.VocabularySize, hidden);
        if (!config.TiedEmbeddings) yield return ($"{names.Output}.weight", config.VocabularySize, hidden);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string Name(string stem) => $"{names.InLayer(layer, stem)}.weight";
            int[] attention = names.QueryKeyValue.Length == 1 ? [queries + (2 * keys)] : [queries, keys, keys];
            for (int i = 0; i < attention.Length; i++) yield return (Name(names.QueryKeyValue[i]), attention[i], hidden);
            yield return (Name(names.AttentionOutput), hidden, queries);
            if (config.Experts is null)
            {
                foreach (string gateUp in names.GateUp) yield return (Name(gateUp), inner, hidden);
                yield return (Name(names.Down), hidden, inner);
                continue;
            }
            yield return (Name(names.Router), config.Experts.Count, hidden);
            for (int expert = 0; expert < config.Experts.Count; expert++)
            {
                for (int part = 0; part < 3; part++)
                {
                    (int rows, int columns) = part == 2 ? (hidden, config.Experts.IntermediateSize) : (config.Experts.IntermediateSize, hidden);
                    yield return (Name(string.Format(null, names.ExpertGateUpDown[part], expert)), rows, columns);
                }
            }
        }
    }
}
