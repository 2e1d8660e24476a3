using System.Text.Json.Nodes;
using Decart.Inference.Benchmarks.Latency;
using Decart.Inference.Checkpoints;
using Decart.Inference.Models;
using Decart.Inference.Models.Quantisation;
using Decart.Inference.Tests.Models;

namespace Decart.Inference.Tests.Benchmarks;

/// <summary>What steps must read and compute, beside what is counted one by one.</summary>
internal sealed class DecoderCostTests
{
    private const int KvElementBytes = 2;

    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void A_large_batch_reads_every_matrix_once(string name)
    {
        (ModelConfig config, IReadOnlyList<StoredTensor> matrices) = Load(name);
        double weights = 2.0 * matrices.Sum(matrix => matrix.Rows * matrix.Columns);
        Assert.That(Cost(config).DecodeBytes(batch: 10_000, context: 0), Is.EqualTo(weights).Within(1e-9).Percent);
    }

    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void A_token_of_a_prompt_is_multiplied_by_every_matrix_of_the_layers_that_it_uses(string name)
    {
        (ModelConfig config, IReadOnlyList<StoredTensor> matrices) = Load(name);
        double used = matrices
            .Where(matrix => matrix.Name != config.Names.Embedding + ".weight" && matrix.Name != config.Names.Output + ".weight")
            .Sum(matrix => matrix.Rows * matrix.Columns * (matrix.Name.Contains(".experts.", StringComparison.Ordinal) ? (double)config.Experts!.PerToken / config.Experts.Count : 1));
        Assert.That(Cost(config).PrefillWeightOperations(tokens: 3), Is.EqualTo(3 * 2 * used).Within(1e-9).Percent);
    }

    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void Attention_is_counted_pair_by_pair(string name)
    {
        const int Tokens = 9;
        (ModelConfig config, _) = Load(name);
        double prefill = 0, decode = 0, bytes = 0;
        foreach (int window in config.Windows)
        {
            for (int query = 0; query < Tokens; query++)
            {
                int visible = Enumerable.Range(0, query + 1).Count(key => window == 0 || query - key < window);
                prefill += 4.0 * config.Heads * config.HeadDim * visible;
                if (query != Tokens - 1) continue;
                decode += 4.0 * config.Heads * config.HeadDim * visible;
                bytes += 2.0 * config.KvHeads * config.HeadDim * KvElementBytes * visible;
            }
        }
        DecoderCost cost = Cost(config);
        Assert.That(cost.PrefillOperations(Tokens) - cost.PrefillWeightOperations(Tokens), Is.EqualTo(prefill));
        Assert.That(cost.DecodeOperations(5, Tokens) - cost.DecodeOperations(5, 0), Is.EqualTo(5 * decode));
        Assert.That(cost.DecodeBytes(5, Tokens) - cost.DecodeBytes(5, 0), Is.EqualTo(5 * bytes).Within(1e-6));
    }

    [TestCaseSource(typeof(TinyModels), nameof(TinyModels.Names))]
    public void A_large_batch_reads_every_block_once(string name)
    {
        JsonObject json = TinyModels.Config(name);
        foreach (string size in (string[])["hidden_size", "intermediate_size", "moe_intermediate_size"]) if (json.ContainsKey(size)) json[size] = 256;
        json["num_attention_heads"] = 32; // of eight elements, as before
        ModelConfig config = TinyCheckpoint.Read(json);
        WeightTypes types = new(WeightFormat.Q4_K_M, config);
        (_, IReadOnlyList<StoredTensor> matrices) = Load(config, types);
        double weights = matrices.Sum(matrix => matrix.Rows * (matrix.Type == TensorType.BF16 ? 2 * matrix.Columns : matrix.RowBytes));
        DecoderCost cost = new(config, KvElementBytes, types);
        Assert.That(cost.DecodeBytes(batch: 10_000, context: 0), Is.EqualTo(weights).Within(1e-9).Percent);
        Assert.That(cost.BitsPerWeight, Is.EqualTo(8 * weights / matrices.Sum(matrix => matrix.Rows * matrix.Columns)).Within(1e-9).Percent);
        Assert.That(cost.DecodeOperations(7, 11), Is.EqualTo(Cost(config).DecodeOperations(7, 11)));
    }

    [TestCase(WeightFormat.Fp8, 8)]
    [TestCase(WeightFormat.Int8, 8)]
    [TestCase(WeightFormat.Int4, 4.15625)]
    public void Formats_of_folders_are_counted_as_files_have_them(WeightFormat format, double bits)
    {
        JsonObject json = TinyModels.Config("llama");
        (json["hidden_size"], json["intermediate_size"]) = (256, 512);
        ModelConfig config = TinyCheckpoint.Read(json);
        double layers = config.Layers * ((2.0 * 256 * 256) + (2.0 * 256 * 128) + (3.0 * 256 * 512)), output = 96.0 * 256;
        Assert.That(new DecoderCost(config, KvElementBytes, new WeightTypes(format, config)).DecodeBytes(1, 0), Is.EqualTo((layers * bits / 8) + (output * 2)));
    }

    [Test]
    public void One_token_reads_as_many_experts_as_it_uses_and_two_fewer_than_twice_as_many()
    {
        (ModelConfig config, _) = Load("mixtral");
        double expert = 2.0 * 3 * config.HiddenSize * config.Experts!.IntermediateSize * config.Layers;
        double one = Cost(config).DecodeBytes(1, 0), two = Cost(config).DecodeBytes(2, 0);
        double expected = 4 * (1 - (0.5 * 0.5)); // each of four is missed by a token with probability one half
        Assert.That((two - one) / expert, Is.EqualTo(expected - 2).Within(1e-9));
    }

    [Test]
    public void Llama_2_7B()
    {
        ModelConfig config = TinyCheckpoint.Read((JsonObject)JsonNode.Parse(
            """
            { "model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
              "num_key_value_heads": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5 }
            """)!);
        const double Layers = 32 * ((4.0 * 4096 * 4096) + (3.0 * 4096 * 11008)), Output = 32000.0 * 4096;
        DecoderCost cost = Cost(config);
        Assert.That(cost.DecodeBytes(16, 1024), Is.EqualTo((2 * (Layers + Output)) + (16.0 * 1024 * 524_288)));
        Assert.That(cost.PrefillOperations(2048), Is.EqualTo((2 * Layers * 2048) + (32 * 2.0 * 2048 * 2049 * 4096)));
    }

    private static DecoderCost Cost(ModelConfig config) => new(config, KvElementBytes);

    /// <summary>A shape, and all matrices that activations are multiplied by.</summary>
    private static (ModelConfig Config, IReadOnlyList<StoredTensor> Matrices) Load(string name) => Load(TinyCheckpoint.Read(TinyModels.Config(name)), types: null);

    private static (ModelConfig Config, IReadOnlyList<StoredTensor> Matrices) Load(ModelConfig config, WeightTypes? types)
    {
        using RandomTensors weights = TinyCheckpoint.Weights(config, types);
        List<StoredTensor> matrices = [];
        foreach (string tensor in weights.Names)
        {
            if (tensor == config.Names.Embedding + ".weight" && !config.TiedEmbeddings) continue;
            if (weights.TryGet(tensor, out StoredTensor stored) && stored.Shape.Length > 1) matrices.Add(stored);
        }
        return (config, matrices);
    }
}
