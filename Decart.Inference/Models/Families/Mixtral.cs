using System.Collections.Immutable;

namespace Decart.Inference.Models.Families;

/// <summary>Mixtral: Mistral with a mixture of experts in every layer, the chosen experts' probabilities renormalised.</summary>
internal static class Mixtral
{
    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        ModelConfig config = HuggingFaceConfig.Read(fields, FamilyDefaults.Mixtral);
        int experts = fields.OptionalInteger("num_local_experts", 1, ModelLimits.Experts) ?? 8;
        return config with
        {
            Windows = ModelConfig.SameWindows(config.Layers, HuggingFaceConfig.ReadWindow(fields, 0)),
            Experts = new ExpertsConfig(
                experts, fields.OptionalInteger("num_experts_per_tok", 1, experts) ?? Math.Min(2, experts), config.IntermediateSize, Renormalise: true, ImmutableHashSet<int>.Empty),
            Names = config.Names with
            {
                Router = "block_sparse_moe.gate",
                ExpertGateUpDown = ["block_sparse_moe.experts.{0}.w1", "block_sparse_moe.experts.{0}.w3", "block_sparse_moe.experts.{0}.w2"],
            },
        };
    }
}
