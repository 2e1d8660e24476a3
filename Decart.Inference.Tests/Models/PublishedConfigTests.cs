using System.Text.Json;
using Decart.Inference.Models;

namespace Decart.Inference.Tests.Models;

/// <summary>The fields of configurations as their authors published them, in the spelling of the version of transformers that wrote them.</summary>
public class PublishedConfigTests
{
    private static readonly TestCaseData[] Published =
    [
        Model("Llama 2 7B", "4096/11008x32 heads 32/32x128 context 4096 theta 10000 window 0 eos 2", """
            { "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008, "max_position_embeddings": 4096,
            "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
            "rope_scaling": null, "tie_word_embeddings": false, "torch_dtype": "float16", "use_cache": true, "vocab_size": 32000 }
            """),
        Model("Llama 3.1 8B Instruct", "4096/14336x32 heads 32/8x128 context 131072 theta 500000 Llama3 8 of 8192 window 0 eos 128001,128008,128009", """
            { "attention_bias": false, "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096,
            "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": { "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_type": "llama3" }, "rope_theta": 500000.0, "tie_word_embeddings": false,
            "torch_dtype": "bfloat16", "vocab_size": 128256 }
            """),
        Model("Llama 3.2 1B", "2048/8192x16 heads 32/8x64 context 131072 theta 500000 Llama3 32 of 8192 window 0 tied eos 128001", """
            { "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192,
            "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16,
            "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_scaling": { "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3" }, "rope_theta": 500000.0, "tie_word_embeddings": true, "vocab_size": 128256 }
            """),
        Model("Mistral 7B v0.1", "4096/14336x32 heads 32/8x128 context 32768 theta 10000 window 4096 eos 2", """
            { "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768,
            "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
            "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": false, "vocab_size": 32000 }
            """),
        Model("Mistral 7B v0.3", "4096/14336x32 heads 32/8x128 context 32768 theta 1000000 window 0 eos 2", """
            { "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768,
            "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
            "rope_theta": 1000000.0, "sliding_window": null, "tie_word_embeddings": false, "vocab_size": 32768 }
            """),
        Model("Mixtral 8x7B", "4096/14336x32 heads 32/8x128 context 32768 theta 1000000 window 0 experts 2/8x14336 renormalised eos 2", """
            { "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
            "max_position_embeddings": 32768, "model_type": "mixtral", "num_attention_heads": 32, "num_experts_per_tok": 2, "num_hidden_layers": 32,
            "num_key_value_heads": 8, "num_local_experts": 8, "output_router_logits": false, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0,
            "router_aux_loss_coef": 0.02, "sliding_window": null, "tie_word_embeddings": false, "vocab_size": 32000 }
            """),
        Model("Qwen 2.5 0.5B", "896/4864x24 heads 14/2x64 context 32768 theta 1000000 window 0 tied eos 151643", """
            { "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "intermediate_size": 4864,
            "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24,
            "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true,
            "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936 }
            """),
        Model("Qwen 2.5 7B with YaRN", "3584/18944x28 heads 28/4x128 context 131072 theta 1000000 Yarn 4 of 32768 window 0 eos 151645", """
            { "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 3584, "intermediate_size": 18944,
            "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2", "num_attention_heads": 28, "num_hidden_layers": 28,
            "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_scaling": { "factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn" },
            "rope_theta": 1000000.0, "sliding_window": 131072, "tie_word_embeddings": false, "use_sliding_window": false, "vocab_size": 152064 }
            """),
        Model("Qwen 3 0.6B", "1024/3072x28 heads 16/8x128 context 40960 theta 1000000 window 0 tied eos 151645", """
            { "attention_bias": false, "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024,
            "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16,
            "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
            "sliding_window": null, "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936 }
            """),
        Model("Qwen 3 30B A3B", "2048/6144x48 heads 32/4x128 context 40960 theta 1000000 window 0 experts 8/128x768 renormalised eos 151645", """
            { "attention_bias": false, "bos_token_id": 151643, "decoder_sparse_step": 1, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
            "hidden_size": 2048, "intermediate_size": 6144, "max_position_embeddings": 40960, "max_window_layers": 48, "mlp_only_layers": [],
            "model_type": "qwen3_moe", "moe_intermediate_size": 768, "norm_topk_prob": true, "num_attention_heads": 32, "num_experts": 128,
            "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4, "output_router_logits": false, "rms_norm_eps": 1e-06,
            "rope_scaling": null, "rope_theta": 1000000.0, "sliding_window": null, "tie_word_embeddings": false, "use_sliding_window": false, "vocab_size": 151936 }
            """),
        Model("Falcon 7B", "4544/18176x32 heads 71/1x64 context 2048 theta 10000 window 0 Parallel tied eos 11", """
            { "alibi": false, "apply_residual_connection_post_layernorm": false, "bias": false, "bos_token_id": 11, "eos_token_id": 11, "hidden_size": 4544,
            "layer_norm_epsilon": 1e-05, "model_type": "falcon", "multi_query": true, "new_decoder_architecture": false, "num_attention_heads": 71,
            "num_hidden_layers": 32, "parallel_attn": true, "vocab_size": 65024 }
            """),
        Model("Falcon 7B, first release", "4544/18176x32 heads 71/1x64 context 2048 theta 10000 window 0 Parallel tied eos 11", """
            { "alibi": false, "bias": false, "bos_token_id": 11, "eos_token_id": 11, "hidden_size": 4544, "layer_norm_epsilon": 1e-05,
            "model_type": "RefinedWebModel", "multi_query": true, "n_head": 71, "n_layer": 32, "parallel_attn": true, "vocab_size": 65024 }
            """),
        Model("Falcon 40B, first release", "8192/32768x60 heads 128/8x64 context 2048 theta 10000 window 0 ParallelTwoNorms tied eos 11", """
            { "alibi": false, "bias": false, "bos_token_id": 11, "eos_token_id": 11, "hidden_size": 8192, "layer_norm_epsilon": 1e-05,
            "model_type": "RefinedWeb", "n_head": 128, "n_head_kv": 8, "n_layer": 60, "parallel_attn": true, "vocab_size": 65024 }
            """),
        Model("Falcon 180B", "14848/59392x80 heads 232/8x64 context 2048 theta 10000 window 0 ParallelTwoNorms tied eos 11", """
            { "alibi": false, "bias": false, "bos_token_id": 11, "eos_token_id": 11, "hidden_size": 14848, "layer_norm_epsilon": 1e-05, "model_type": "falcon",
            "multi_query": true, "new_decoder_architecture": true, "num_attention_heads": 232, "num_hidden_layers": 80, "num_kv_heads": 8,
            "parallel_attn": true, "vocab_size": 65024 }
            """),
        Model("Falcon 2 11B", "4096/16384x60 heads 32/8x128 context 8192 theta 500042 window 0 Parallel eos 11", """
            { "activation": "gelu", "alibi": false, "bias": false, "bos_token_id": 11, "eos_token_id": 11, "ff_factor": 4, "ffn_hidden_size": 16384,
            "hidden_size": 4096, "layer_norm_epsilon": 1e-05, "max_position_embeddings": 8192, "model_type": "falcon", "multi_query": true,
            "new_decoder_architecture": true, "num_attention_heads": 32, "num_hidden_layers": 60, "num_kv_heads": 8, "num_ln_in_parallel_attn": 1,
            "parallel_attn": true, "rope_scaling": null, "rope_theta": 500042.0, "tie_word_embeddings": false, "vocab_size": 65024 }
            """),
        Model("Falcon RW 1B", "2048/8192x24 heads 32/32x64 context 2048 no rotation window 0 biases tied eos 2", """
            { "alibi": true, "apply_residual_connection_post_layernorm": false, "bias": true, "bos_token_id": 1, "eos_token_id": 2, "hidden_size": 2048,
            "layer_norm_epsilon": 1e-05, "model_type": "falcon", "multi_query": false, "new_decoder_architecture": false, "num_attention_heads": 32,
            "num_hidden_layers": 24, "parallel_attn": false, "vocab_size": 50304 }
            """),
        Model("Phi 3 mini 4k", "3072/8192x32 heads 32/32x96 context 4096 theta 10000 window 2047 eos 32000", """
            { "attention_bias": false, "bos_token_id": 1, "embd_pdrop": 0.0, "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": 3072,
            "intermediate_size": 8192, "max_position_embeddings": 4096, "model_type": "phi3", "num_attention_heads": 32, "num_hidden_layers": 32,
            "num_key_value_heads": 32, "original_max_position_embeddings": 4096, "pad_token_id": 32000, "rms_norm_eps": 1e-05, "rope_scaling": null,
            "rope_theta": 10000.0, "sliding_window": 2047, "tie_word_embeddings": false, "vocab_size": 32064 }
            """),
        Model("Gemma 2 2B", "2304/9216x26 heads 8/4x256 context 8192 theta 10000 window 4096,0 Sandwich tied caps 50,30 eos 1", """
            { "attention_bias": false, "attn_logit_softcapping": 50.0, "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": 1,
            "final_logit_softcapping": 30.0, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
            "hidden_size": 2304, "intermediate_size": 9216, "max_position_embeddings": 8192, "model_type": "gemma2", "num_attention_heads": 8,
            "num_hidden_layers": 26, "num_key_value_heads": 4, "pad_token_id": 0, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
            "rope_theta": 10000.0, "sliding_window": 4096, "vocab_size": 256000 }
            """),
        Model("Gemma 2 27B", "4608/36864x46 heads 32/16x128 context 8192 theta 10000 window 4096,0 Sandwich tied caps 50,30 eos 1", """
            { "attn_logit_softcapping": 50.0, "bos_token_id": 2, "eos_token_id": 1, "final_logit_softcapping": 30.0, "head_dim": 128,
            "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 4608, "intermediate_size": 36864, "max_position_embeddings": 8192, "model_type": "gemma2",
            "num_attention_heads": 32, "num_hidden_layers": 46, "num_key_value_heads": 16, "query_pre_attn_scalar": 144, "rms_norm_eps": 1e-06,
            "rope_theta": 10000.0, "sliding_window": 4096, "sliding_window_size": 4096, "vocab_size": 256000, "_attn_implementation": "eager" }
            """),
    ];

    [TestCaseSource(nameof(Published))]
    public void A_published_configuration_means_what_its_authors_meant(string json, string expected)
    {
        ModelConfig config = ModelLoader.ReadHuggingFace("folder", JsonSerializer.Deserialize<JsonElement>(json), null);
        Assert.That(Describe(config), Is.EqualTo(expected));
    }

    [Test]
    public void Gemma_2_27B_scales_its_scores_by_its_own_number() =>
        Assert.That(Read("Gemma 2 27B").AttentionScale, Is.EqualTo(1 / 12f));

    [Test]
    public void Norms_have_the_epsilon_of_the_file()
    {
        Assert.That(Read("Llama 2 7B").NormEpsilon, Is.EqualTo(1e-5f));
        Assert.That(Read("Qwen 3 0.6B").NormEpsilon, Is.EqualTo(1e-6f));
    }

    private static TestCaseData Model(string name, string expected, string json) => new TestCaseData(json, expected).SetName(name);

    private static ModelConfig Read(string name)
    {
        string json = (string)Published.Single(test => test.TestName == name).Arguments[0]!;
        return ModelLoader.ReadHuggingFace("folder", JsonSerializer.Deserialize<JsonElement>(json), null);
    }

    private static string Describe(ModelConfig config)
    {
        string[] parts =
        [
            $"{config.HiddenSize}/{config.IntermediateSize}x{config.Layers}",
            $"heads {config.Heads}/{config.KvHeads}x{config.HeadDim}",
            $"context {config.ContextLength}",
            config.Rotary is { } rotary ? $"theta {rotary.Theta}" : "no rotation",
            config.Rotary is { Scaling: not RotaryScaling.None } scaled ? $"{scaled.Scaling} {scaled.Factor} of {scaled.OriginalContextLength}" : "",
            $"window {string.Join(',', config.Windows.Distinct())}",
            config.Experts is { } experts ? $"experts {experts.PerToken}/{experts.Count}x{experts.IntermediateSize}{(experts.Renormalise ? " renormalised" : "")}" : "",
            config.Arrangement == BlockArrangement.Sequential ? "" : $"{config.Arrangement}",
            config is { QueryKeyValueBias: true, AttentionOutputBias: true, FeedForwardBias: true } ? "biases" : "",
            config.TiedEmbeddings ? "tied" : "",
            config.LogitSoftCap == 0 ? "" : $"caps {config.AttentionSoftCap},{config.LogitSoftCap}",
            $"eos {string.Join(',', config.EosTokenIds)}",
        ];
        return string.Join(' ', parts.Where(part => part.Length > 0));
    }
}
