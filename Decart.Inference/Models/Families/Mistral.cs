namespace Decart.Inference.Models.Families;

/// <summary>Mistral: Llama with a sliding attention window in every layer (unless the configuration turns it off).</summary>
internal static class Mistral
{
    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        ModelConfig config = HuggingFaceConfig.Read(fields, FamilyDefaults.Mistral);
        return config with { Windows = ModelConfig.SameWindows(config.Layers, HuggingFaceConfig.ReadWindow(fields, 4096)) };
    }
}
