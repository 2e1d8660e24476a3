using Decart.Inference.Kernels;

namespace Decart.Inference.Models.Families;

/// <summary>
/// Gemma 2: norms before and after each block, soft caps on attention scores and logits, a sliding window in every other
/// layer, embeddings scaled by the root of the hidden size.
/// </summary>
internal static class Gemma2
{
    private const double DefaultAttentionCap = 50, DefaultLogitCap = 30;
    private const int DefaultWindow = 4096;

    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        if (fields.Flag("use_bidirectional_attention", false)) throw fields.Wrong("use_bidirectional_attention", "causal attention", true);
        ModelConfig config = HuggingFaceConfig.Read(fields, FamilyDefaults.Gemma2);
        bool attentionBias = fields.Flag("attention_bias", false);
        return WithArrangement(config) with
        {
            NormOffset = 1,
            Activation = HuggingFaceConfig.ReadActivation(fields, "hidden_activation", "gelu_pytorch_tanh"),
            QueryKeyValueBias = attentionBias,
            AttentionOutputBias = attentionBias,
            AttentionScale = (float)(1 / Math.Sqrt(fields.OptionalNumber("query_pre_attn_scalar", 1e-3, 1e9) ?? 256)),
            AttentionSoftCap = ReadSoftCap(fields, "attn_logit_softcapping", DefaultAttentionCap),
            LogitSoftCap = ReadSoftCap(fields, "final_logit_softcapping", DefaultLogitCap),
            Windows = HuggingFaceConfig.ReadWindows(
                fields, config.Layers, HuggingFaceConfig.ReadWindow(fields, DefaultWindow), IsSliding),
            Names = config.Names with
            {
                PostAttentionNorm = "post_attention_layernorm",
                FeedForwardNorm = "pre_feedforward_layernorm",
                PostFeedForwardNorm = "post_feedforward_layernorm",
            },
        };
    }

    private static ModelConfig WithArrangement(ModelConfig config) => config with
    {
        Arrangement = BlockArrangement.Sandwich,
        EmbeddingScale = MathF.Sqrt(config.HiddenSize),
    };

    private static bool IsSliding(int layer) => layer % 2 == 0;

    private static float ReadSoftCap(JsonFields fields, string field, double fallback) =>
        (float)(fields.IsNull(field) ? 0 : fields.OptionalNumber(field, 1e-3, 1e9) ?? fallback);

    /// <remarks>The norms of GGUF files hold the whole scale; the scale of the scores is known for each of the three sizes.</remarks>
    public static ModelConfig ReadGguf(GgufFields fields)
    {
        const int LayersOf27B = 46;
        ModelConfig config = GgufConfig.Read(fields);
        int window = GgufConfig.ReadWindow(fields, DefaultWindow);
        return WithArrangement(config) with
        {
            Activation = ActivationFunction.GeluTanh,
            AttentionScale = 1 / MathF.Sqrt(config.Layers == LayersOf27B ? (float)config.HiddenSize / config.Heads : config.HeadDim),
            AttentionSoftCap = (float)(fields.OptionalNumber("attn_logit_softcapping", 0, 1e9) ?? DefaultAttentionCap),
            LogitSoftCap = (float)(fields.OptionalNumber("final_logit_softcapping", 0, 1e9) ?? DefaultLogitCap),
            Windows = [.. Enumerable.Range(0, config.Layers).Select(layer => IsSliding(layer) ? window : 0)],
        };
    }
}
