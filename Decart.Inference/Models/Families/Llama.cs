namespace Decart.Inference.Models.Families;

/// <summary>Llama 2, 3 and 3.1 and the many models of the same shape; their GGUF files also hold Mistral and Mixtral models.</summary>
internal static class Llama
{
    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        bool attentionBias = fields.Flag("attention_bias", false);
        return HuggingFaceConfig.Read(fields) with
        {
            QueryKeyValueBias = attentionBias,
            AttentionOutputBias = attentionBias,
            FeedForwardBias = fields.Flag("mlp_bias", false),
        };
    }
}
