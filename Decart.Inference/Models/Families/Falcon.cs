using System.Collections.Immutable;
using Decart.Inference.Kernels;

namespace Decart.Inference.Models.Families;

/// <summary>
/// Falcon: LayerNorm, no gate, and query, key and value in one matrix grouped by key/value head. Three generations: 7B (parallel
/// block, one key/value head), 40B, 180B and Falcon 2 ("new decoder": parallel, grouped heads), and the older RefinedWeb models
/// (sequential or parallel, ALiBi, biases). The first releases named themselves RefinedWeb (40B) and RefinedWebModel.
/// </summary>
internal static class Falcon
{
    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        int hidden = fields.OptionalInteger("hidden_size", 1, ModelLimits.Hidden) ?? 4544;
        string headsField = fields.Has("n_head") ? "n_head" : "num_attention_heads";
        int heads = fields.OptionalInteger(headsField, 1, ModelLimits.Heads) ?? 71;
        int headDim = HeadFields.DefaultHeadDim(fields, "hidden_size", hidden, heads);
        int layers = fields.OptionalInteger(fields.Has("n_layer") ? "n_layer" : "num_hidden_layers", 1, ModelLimits.Layers) ?? 32;
        int context = fields.OptionalInteger("max_position_embeddings", 1, ModelLimits.Context) ?? 2048;
        int vocabulary = fields.OptionalInteger("vocab_size", 1, ModelLimits.Vocabulary) ?? 65024;
        bool alibi = fields.Flag("alibi", false), bias = fields.Flag("bias", false);
        float attentionScale = 1 / MathF.Sqrt(headDim);
        RotaryConfig? rotary = alibi ? null : HuggingFaceRotary.Read(fields, headDim, context, 10000);
        return new ModelConfig
        {
            Architecture = "falcon",
            VocabularySize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = fields.OptionalInteger("ffn_hidden_size", 1, ModelLimits.Intermediate) ?? 4 * hidden,
            Layers = layers,
            Heads = heads,
            KvHeads = ReadKvHeads(fields, heads),
            HeadDim = headDim,
            ContextLength = rotary is null ? context : HuggingFaceRotary.ExtendedContext(context, rotary),
            NormEpsilon = (float)(fields.OptionalNumber("layer_norm_epsilon", 0, 1) ?? 1e-5),
            LayerNorm = true,
            Arrangement = ReadArrangement(fields),
            Activation = HuggingFaceConfig.ReadActivation(fields, "activation", "gelu"),
            Gated = false,
            Rotary = rotary,
            AlibiSlopes = alibi ? Slopes(heads, attentionScale) : null,
            Windows = ModelConfig.SameWindows(layers, 0),
            AttentionScale = attentionScale,
            QueryKeyValueBias = bias,
            AttentionOutputBias = bias,
            FeedForwardBias = bias,
            TiedEmbeddings = fields.Flag("tie_word_embeddings", true),
            BosTokenId = fields.TokenId("bos_token_id", vocabulary),
            EosTokenIds = fields.TokenIds("eos_token_id", vocabulary),
            Names = Names(fields),
        };
    }

    private static bool IsNewDecoder(ConfigFields fields) =>
        fields.Flag("new_decoder_architecture", fields.OptionalText("model_type") == "RefinedWeb");

    private static int ReadKvHeads(ConfigFields fields, int heads)
    {
        if (IsNewDecoder(fields)) return HeadFields.ReadKvHeads(fields, fields.Has("n_head_kv") ? "n_head_kv" : "num_kv_heads", heads);
        return fields.Flag("multi_query", true) ? 1 : heads;
    }

    private static BlockArrangement ReadArrangement(ConfigFields fields)
    {
        bool newDecoder = IsNewDecoder(fields);
        int norms = fields.OptionalInteger("num_ln_in_parallel_attn", 1, 2) ?? (newDecoder ? 2 : 1);
        if (!fields.Flag("parallel_attn", true))
        {
            return newDecoder ? throw fields.Wrong("parallel_attn", "true with new_decoder_architecture", false) : BlockArrangement.Sequential;
        }
        if (norms == 2 && !newDecoder) throw fields.Wrong("num_ln_in_parallel_attn", "1 without new_decoder_architecture", norms);
        return norms == 2 ? BlockArrangement.ParallelTwoNorms : BlockArrangement.Parallel;
    }

    private static WeightNames Names(ConfigFields fields)
    {
        bool twoNorms = ReadArrangement(fields) == BlockArrangement.ParallelTwoNorms;
        return new WeightNames
        {
            Embedding = "transformer.word_embeddings",
            FinalNorm = "transformer.ln_f",
            Output = "lm_head",
            Layer = "transformer.h.{0}.",
            QueryKeyValue = ["self_attention.query_key_value"],
            GroupedQueryKeyValue = true,
            AttentionOutput = "self_attention.dense",
            GateUp = ["mlp.dense_h_to_4h"],
            Down = "mlp.dense_4h_to_h",
            AttentionNorm = twoNorms ? "ln_attn" : "input_layernorm",
            FeedForwardNorm = twoNorms ? "ln_mlp" : "post_attention_layernorm",
        };
    }

    /// <remarks>Falcon rounds its slopes to bfloat16 and adds the bias before the scores are scaled, so the slopes are scaled too.</remarks>
    private static ImmutableArray<float> Slopes(int heads, float attentionScale) =>
        [.. Alibi.Slopes(heads).Select(slope => Rounding.ToBFloat16(slope) * attentionScale)];

    /// <remarks>
    /// GGUF files hold the rows of query, key and value ungrouped, and only the parallel, rotary generations. They do not name the
    /// activation: it is the exact GELU that the models were trained with, of which llama.cpp computes the approximation by tanh.
    /// </remarks>
    public static ModelConfig ReadGguf(GgufFields fields)
    {
        ModelConfig config = GgufConfig.Read(fields, epsilonField: "attention.layer_norm_epsilon");
        bool twoNorms = fields.HasTensor("blk.0.attn_norm_2.weight");
        return config with
        {
            LayerNorm = true,
            Arrangement = twoNorms ? BlockArrangement.ParallelTwoNorms : BlockArrangement.Parallel,
            Activation = ActivationFunction.Gelu,
            Gated = false,
            Names = config.Names with
            {
                QueryKeyValue = ["attn_qkv"],
                GateUp = ["ffn_up"],
                AttentionNorm = twoNorms ? "attn_norm_2" : "attn_norm",
                FeedForwardNorm = "attn_norm",
            },
        };
    }
}
