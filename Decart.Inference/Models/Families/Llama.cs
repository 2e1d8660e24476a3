namespace Decart.Inference.Models.Families;

/// <summary>Llama 2, 3 and 3.1 and the many models of the same shape; their GGUF files also hold Mistral and Mixtral models.</summary>
internal static class Llama
{
    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        bool attentionBias = fields.Flag("attention_bias", false);
        return HuggingFaceConfig.Read(fields, FamilyDefaults.Llama) with
        {
            QueryKeyValueBias = attentionBias,
            AttentionOutputBias = attentionBias,
            FeedForwardBias = fields.Flag("mlp_bias", false),
        };
    }

    /// <remarks>GGUF's Llama files have the rows of query and key permuted, so that rotated pairs are neighbours.</remarks>
    public static ModelConfig ReadGguf(GgufFields fields)
    {
        ModelConfig config = GgufConfig.Read(fields);
        config = config with { Rotary = config.Rotary! with { Interleaved = true } };
        if ((fields.OptionalInteger("expert_count", 0, ModelLimits.Experts) ?? 0) == 0) return config;
        bool stacked = fields.HasTensor("blk.0.ffn_gate_exps.weight");
        return config with
        {
            Experts = GgufConfig.ReadExperts(fields, config.IntermediateSize),
            FeedForwardBias = false,
            Names = stacked ? config.Names : config.Names with { ExpertGateUpDown = ["ffn_gate.{0}", "ffn_up.{0}", "ffn_down.{0}"] },
        };
    }
}
