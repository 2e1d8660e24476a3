using System.Collections.Immutable;
using System.Globalization;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models;

/// <summary>
/// Where a checkpoint keeps a decoder's weights. Names are stems: <c>.weight</c> and <c>.bias</c> follow. Those of a layer are
/// relative to <see cref="Layer"/>.
/// </summary>
internal sealed record WeightNames
{
    public required string Embedding { get; init; }

    public required string FinalNorm { get; init; }

    public required string Output { get; init; }

    /// <summary>Prefix of a layer's names; {0} is the layer's number.</summary>
    public required string Layer { get; init; }

    /// <summary>Query, key and value, or one name where they are stored as one matrix.</summary>
    public required ImmutableArray<string> QueryKeyValue { get; init; }

    /// <summary>
    /// The one matrix has a group of rows for each key/value head: the query heads that read it, its key, its value (Falcon);
    /// otherwise all query rows, all key rows, all value rows.
    /// </summary>
    public bool GroupedQueryKeyValue { get; init; }

    public required string AttentionOutput { get; init; }

    /// <summary>Gate and up, or one name where they are stored as one matrix or where there is no gate.</summary>
    public required ImmutableArray<string> GateUp { get; init; }

    public required string Down { get; init; }

    public required string AttentionNorm { get; init; }

    public required string FeedForwardNorm { get; init; }

    /// <summary>Norm of the attention's output (sandwich arrangement).</summary>
    public string PostAttentionNorm { get; init; } = "";

    /// <summary>Norm of the feed-forward block's output (sandwich arrangement).</summary>
    public string PostFeedForwardNorm { get; init; } = "";

    public string QueryNorm { get; init; } = "";

    public string KeyNorm { get; init; } = "";

    public string Router { get; init; } = "";

    /// <summary>
    /// Gate, up and down of one expert; {0} is the expert's number. Without {0} each name holds all experts, stacked. Two names, which
    /// are whole and no stems, hold all experts with gate above up, and down.
    /// </summary>
    public ImmutableArray<string> ExpertGateUpDown { get; init; } = [];

    /// <summary>
    /// These names as transformers writes them for a model that is saved without its head, whose name is then no prefix, or whose
    /// experts are saved as they are in memory (from version 5 on).
    /// </summary>
    public WeightNames AsStoredIn(TensorSource source)
    {
        WeightNames names = this;
        if (!source.TryGet(Embedding + ".weight", out _) && source.TryGet(WithoutPrefix(Embedding) + ".weight", out _))
        {
            names = names with { Embedding = WithoutPrefix(Embedding), FinalNorm = WithoutPrefix(FinalNorm), Layer = WithoutPrefix(Layer) };
        }
        return source.Names.Any(name => name.EndsWith(".mlp.experts.gate_up_proj", StringComparison.Ordinal))
            ? names with { Router = "mlp.gate", ExpertGateUpDown = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"] }
            : names;

        static string WithoutPrefix(string name) => name[(name.IndexOf('.', StringComparison.Ordinal) + 1)..];
    }

    public string InLayer(int layer, string stem) => string.Format(CultureInfo.InvariantCulture, Layer, layer) + stem;

    /// <summary>The names that most Hugging Face checkpoints use.</summary>
    public static WeightNames HuggingFace { get; } = new()
    {
        Embedding = "model.embed_tokens",
        FinalNorm = "model.norm",
        Output = "lm_head",
        Layer = "model.layers.{0}.",
        QueryKeyValue = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        AttentionOutput = "self_attn.o_proj",
        GateUp = ["mlp.gate_proj", "mlp.up_proj"],
        Down = "mlp.down_proj",
        AttentionNorm = "input_layernorm",
        FeedForwardNorm = "post_attention_layernorm",
        QueryNorm = "self_attn.q_norm",
        KeyNorm = "self_attn.k_norm",
        Router = "mlp.gate",
        ExpertGateUpDown = ["mlp.experts.{0}.gate_proj", "mlp.experts.{0}.up_proj", "mlp.experts.{0}.down_proj"],
    };

    /// <summary>The names of GGUF files.</summary>
    public static WeightNames Gguf { get; } = new()
    {
        Embedding = "token_embd",
        FinalNorm = "output_norm",
        Output = "output",
        Layer = "blk.{0}.",
        QueryKeyValue = ["attn_q", "attn_k", "attn_v"],
        AttentionOutput = "attn_output",
        GateUp = ["ffn_gate", "ffn_up"],
        Down = "ffn_down",
        AttentionNorm = "attn_norm",
        FeedForwardNorm = "ffn_norm",
        PostAttentionNorm = "post_attention_norm",
        PostFeedForwardNorm = "post_ffw_norm",
        QueryNorm = "attn_q_norm",
        KeyNorm = "attn_k_norm",
        Router = "ffn_gate_inp",
        ExpertGateUpDown = ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"],
    };
}
