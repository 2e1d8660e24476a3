namespace Decart.Inference.Models.Families;

/// <summary>Qwen 2 and 2.5: Llama with biases on query, key and value, and an optional sliding window in the upper layers.</summary>
internal static class Qwen2
{
    public static ModelConfig ReadHuggingFace(JsonFields fields) => WithWindows(fields, HuggingFaceConfig.Read(fields, FamilyDefaults.Qwen2)) with { QueryKeyValueBias = true };

    public static ModelConfig WithWindows(JsonFields fields, ModelConfig config)
    {
        int window = ReadWindow(fields);
        int firstSliding = fields.OptionalInteger("max_window_layers", 0, int.MaxValue) ?? 28;
        return config with
        {
            Windows = HuggingFaceConfig.ReadWindows(fields, config.Layers, window, layer => layer >= firstSliding),
        };
    }

    /// <summary>The width that <c>use_sliding_window</c> turns on, else 0.</summary>
    public static int ReadWindow(JsonFields fields) => fields.Flag("use_sliding_window", false) ? HuggingFaceConfig.ReadWindow(fields, 4096) : 0;

    public static ModelConfig ReadGguf(GgufFields fields) => GgufConfig.Read(fields) with { QueryKeyValueBias = true };
}
