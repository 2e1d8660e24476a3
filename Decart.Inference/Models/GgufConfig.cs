using System.Collections.Immutable;
using Decart.Inference.Kernels;

namespace Decart.Inference.Models;

/// <summary>Reads the parts of a GGUF file's metadata that the architectures have in common, with llama.cpp's defaults.</summary>
internal static class GgufConfig
{
    /// <summary>End of text, end of turn, end of message: a model may end its answer with any of them.</summary>
    private static readonly string[] EosFields = ["eos_token_id", "eot_token_id", "eom_token_id"];

    /// <summary>A decoder with sequential blocks, RMSNorm, rotary embedding and a gated feed-forward block; biases where the file has them.</summary>
    public static ModelConfig Read(GgufFields fields, string epsilonField = "attention.layer_norm_rms_epsilon")
    {
        int hidden = fields.Integer("embedding_length", 1, ModelLimits.Hidden);
        int heads = fields.Integer("attention.head_count", 1, ModelLimits.Heads);
        int headDim = ReadHeadDim(fields, hidden, heads);
        int layers = fields.Integer("block_count", 1, ModelLimits.Layers);
        int context = fields.Integer("context_length", 1, ModelLimits.Context), vocabulary = ReadVocabularySize(fields);
        return new ModelConfig
        {
            Architecture = fields.Prefix,
            VocabularySize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = fields.Integer("feed_forward_length", 1, ModelLimits.Intermediate),
            Layers = layers,
            Heads = heads,
            KvHeads = HeadFields.ReadKvHeads(fields, "attention.head_count_kv", heads),
            HeadDim = headDim,
            ContextLength = context,
            NormEpsilon = (float)fields.Number(epsilonField, 0, 1),
            Activation = ActivationFunction.Silu,
            Rotary = GgufRotary.Read(fields, headDim, context),
            Windows = ModelConfig.SameWindows(layers, ReadWindow(fields, 0)),
            AttentionScale = 1 / MathF.Sqrt(headDim),
            QueryKeyValueBias = fields.HasTensor("blk.0.attn_q.bias") || fields.HasTensor("blk.0.attn_qkv.bias"),
            AttentionOutputBias = fields.HasTensor("blk.0.attn_output.bias"),
            FeedForwardBias = fields.HasTensor("blk.0.ffn_up.bias"),
            TiedEmbeddings = !fields.HasTensor("output.weight"),
            BosTokenId = Tokenizer(fields).TokenId("bos_token_id", vocabulary),
            EosTokenIds = ReadEosTokenIds(Tokenizer(fields), vocabulary),
            Names = WeightNames.Gguf,
        };
    }

    /// <summary>The width of the sliding window, 0 for none.</summary>
    public static int ReadWindow(ConfigFields fields, int fallback) => fields.OptionalInteger("attention.sliding_window", 0, int.MaxValue) ?? fallback;

    public static ExpertsConfig ReadExperts(GgufFields fields, int intermediateSize)
    {
        int experts = fields.Integer("expert_count", 1, ModelLimits.Experts);
        return new ExpertsConfig(
            experts,
            fields.Integer("expert_used_count", 1, experts),
            fields.OptionalInteger("expert_feed_forward_length", 1, ModelLimits.Intermediate) ?? intermediateSize,
            Renormalise: true,
            ImmutableHashSet<int>.Empty);
    }

    private static GgufFields Tokenizer(GgufFields fields) => new(fields.Tensors, "tokenizer.ggml");

    private static int ReadHeadDim(GgufFields fields, int hidden, int heads)
    {
        int keys = fields.OptionalInteger("attention.key_length", 1, ModelLimits.HeadDim)
            ?? HeadFields.DefaultHeadDim(fields, "embedding_length", hidden, heads);
        int values = fields.OptionalInteger("attention.value_length", 1, ModelLimits.HeadDim) ?? keys;
        return keys == values ? keys : throw fields.Wrong("attention.value_length", $"the key length {keys}", values);
    }

    private static int ReadVocabularySize(GgufFields fields)
    {
        int? tokens = Tokenizer(fields).Count("tokens");
        return tokens is > 0 and <= ModelLimits.Vocabulary ? tokens.Value : fields.Integer("vocab_size", 1, ModelLimits.Vocabulary);
    }

    private static ImmutableArray<int> ReadEosTokenIds(ConfigFields tokenizer, int vocabularySize) =>
        [.. EosFields.Select(field => tokenizer.TokenId(field, vocabularySize)).OfType<int>().Distinct()];
}
