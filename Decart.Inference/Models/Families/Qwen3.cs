namespace Decart.Inference.Models.Families;

/// <summary>Qwen 3: Qwen 2 without those biases but with a norm of each query and key head.</summary>
internal static class Qwen3
{
    public static ModelConfig ReadHuggingFace(JsonFields fields) => Qwen2.WithWindows(fields, ReadWithoutWindows(fields, FamilyDefaults.Qwen3));

    public static ModelConfig ReadWithoutWindows(JsonFields fields, FamilyDefaults defaults)
    {
        bool attentionBias = fields.Flag("attention_bias", false);
        return HuggingFaceConfig.Read(fields, defaults) with
        {
            QueryKeyNorm = true,
            QueryKeyValueBias = attentionBias,
            AttentionOutputBias = attentionBias,
        };
    }

    public static ModelConfig ReadGguf(GgufFields fields) => GgufConfig.Read(fields) with { QueryKeyNorm = true };
}
