using System.Collections.Immutable;

namespace Decart.Inference.Models.Families;

/// <summary>Qwen 3 with a mixture of experts in every layer, or in every few with ordinary feed-forward blocks between.</summary>
internal static class Qwen3Moe
{
    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        ModelConfig config = Qwen3.ReadWithoutWindows(fields, FamilyDefaults.Qwen3Moe);
        int experts = fields.OptionalInteger(fields.Has("num_local_experts") ? "num_local_experts" : "num_experts", 1, ModelLimits.Experts) ?? 128;
        return config with
        {
            Windows = ModelConfig.SameWindows(config.Layers, Qwen2.ReadWindow(fields)),
            Experts = new ExpertsConfig(
                experts,
                fields.OptionalInteger("num_experts_per_tok", 1, experts) ?? Math.Min(8, experts),
                fields.OptionalInteger("moe_intermediate_size", 1, ModelLimits.Intermediate) ?? 768,
                fields.Flag("norm_topk_prob", false),
                ReadDenseLayers(fields, config.Layers)),
        };
    }

    private static ImmutableHashSet<int> ReadDenseLayers(JsonFields fields, int layers)
    {
        int step = fields.OptionalInteger("decoder_sparse_step", 1, int.MaxValue) ?? 1;
        ImmutableArray<int> listed = fields.Integers("mlp_only_layers", 0, ModelLimits.Layers);
        return [.. Enumerable.Range(0, layers).Where(layer => (layer + 1) % step != 0), .. listed];
    }

    public static ModelConfig ReadGguf(GgufFields fields)
    {
        ModelConfig config = Qwen3.ReadGguf(fields);
        return config with { Experts = GgufConfig.ReadExperts(fields, config.IntermediateSize) };
    }
}
