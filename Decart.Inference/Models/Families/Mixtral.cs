using System.Collections.Immutable;

namespace Decart.Inference.Models.Families;

/// <summary>Mixtral: Mistral with a mixture of experts in every layer, the chosen experts' probabilities renormalised.</summary>
internal static class Mixtral
{
    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        ModelConfig config = HuggingFaceConfig.Read(fields, defaultTheta: 1e6, defaultEpsilon: 1e-5);
        int experts = fields.Integer("num_local_experts", 1, ModelLimits.Experts);
        return config with
        {
            Windows = ModelConfig.SameWindows(config.Layers, HuggingFaceConfig.ReadWindow(fields, 0)),
            Experts = new ExpertsConfig(
                experts, fields.Integer("num_experts_per_tok", 1, experts), config.IntermediateSize, Renormalise: true, ImmutableHashSet<int>.Empty),
            Names = config.Names with
            {
                Router = "block_sparse_moe.gate",
                ExpertGateUpDown = ["block_sparse_moe.experts.{0}.w1", "block_sparse_moe.experts.{0}.w3", "block_sparse_moe.experts.{0}.w2"],
            },
        };
    }
}
