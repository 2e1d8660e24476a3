using System.Text.Json.Nodes;

namespace Decart.Inference.Tests.Models;

/// <summary>Configurations of tiny models, one or more of each family, as the config.json of a checkpoint would have them.</summary>
internal static class TinyModels
{
    private const string Common = """
        "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "bos_token_id": 1, "eos_token_id": [2, 3]
        """;

    private const string Falcon = """
        "model_type": "falcon", "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4
        """;

    private static readonly Dictionary<string, string> Json = new()
    {
        ["llama"] = Common + """, "model_type": "llama", "rope_theta": 500000.0, "attention_bias": true, "mlp_bias": true """,
        ["llama tied, explicit head_dim"] = Common + """, "model_type": "llama", "head_dim": 12, "tie_word_embeddings": true """,
        ["llama llama3"] = Common + """
            , "model_type": "llama", "rope_scaling": { "type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64 }
            """,
        ["llama linear"] = Common + """, "model_type": "llama", "rope_parameters": { "rope_type": "linear", "factor": 4, "rope_theta": 1000 } """,
        ["llama yarn"] = Common + """
            , "model_type": "llama", "rope_scaling": { "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 }
            """,
        ["llama dynamic"] = Common + """
            , "model_type": "llama", "head_dim": 12, "rope_scaling": { "type": "dynamic", "factor": 2.0 }
            """,
        ["mistral"] = Common + """, "model_type": "mistral", "sliding_window": 5 """,
        ["mixtral"] = Common + """, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2 """,
        ["qwen2"] = Common + """
            , "model_type": "qwen2", "use_sliding_window": true, "sliding_window": 6, "max_window_layers": 1
            """,
        ["qwen3"] = Common + """, "model_type": "qwen3", "head_dim": 16 """,
        ["qwen3_moe"] = Common + """
            , "model_type": "qwen3_moe", "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
            "norm_topk_prob": true, "decoder_sparse_step": 2, "mlp_only_layers": []
            """,
        ["phi3"] = Common + """, "model_type": "phi3", "partial_rotary_factor": 0.5, "sliding_window": 7 """,
        ["phi3 longrope"] = Common + """
            , "model_type": "phi3", "original_max_position_embeddings": 32,
            "rope_scaling": { "type": "longrope", "short_factor": [1, 1.1, 1.3, 2], "long_factor": [1, 2.5, 6, 16] }
            """,
        ["gemma2"] = Common + """
            , "model_type": "gemma2", "head_dim": 8, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 6,
            "query_pre_attn_scalar": 16, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0
            """,
        ["falcon 7B"] = Falcon + """, "multi_query": true, "parallel_attn": true """,
        ["falcon 40B"] = Falcon + """, "new_decoder_architecture": true, "num_kv_heads": 2 """,
        ["falcon 2"] = Falcon + """, "new_decoder_architecture": true, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1 """,
        ["falcon RefinedWeb"] = Falcon + """, "multi_query": false, "parallel_attn": false, "alibi": true, "bias": true """,
    };

    public static IEnumerable<string> Names => Json.Keys;

    public static JsonObject Config(string name) => (JsonObject)JsonNode.Parse("{" + Json[name] + "}")!;

    /// <summary>A new folder with the configuration as config.json; delete it after use.</summary>
    public static string WriteFolder(JsonNode config)
    {
        string folder = Directory.CreateTempSubdirectory("decart-").FullName;
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        return folder;
    }
}
