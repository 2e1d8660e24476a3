namespace Decart.Inference.Models.Families;

/// <summary>Phi-3 and Phi-4: Llama with query, key and value in one matrix, gate and up in another, and a share of each head rotated.</summary>
internal static class Phi3
{
    public static ModelConfig ReadHuggingFace(JsonFields fields)
    {
        ModelConfig config = HuggingFaceConfig.Read(fields, FamilyDefaults.Phi3);
        return config with
        {
            Windows = ModelConfig.SameWindows(config.Layers, HuggingFaceConfig.ReadWindow(fields, 0)),
            Names = config.Names with { QueryKeyValue = ["self_attn.qkv_proj"], GateUp = ["mlp.gate_up_proj"] },
        };
    }

    public static ModelConfig ReadGguf(GgufFields fields)
    {
        ModelConfig config = GgufConfig.Read(fields);
        bool fused = fields.HasTensor("blk.0.attn_qkv.weight");
        return config with
        {
            Names = config.Names with { QueryKeyValue = fused ? ["attn_qkv"] : config.Names.QueryKeyValue, GateUp = ["ffn_up"] },
        };
    }
}
