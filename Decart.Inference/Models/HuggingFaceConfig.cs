using System.Collections.Immutable;
using Decart.Inference.Kernels;

namespace Decart.Inference.Models;

/// <summary>Reads the parts of a Hugging Face <c>config.json</c> that most families have in common, as transformers understands them.</summary>
internal static class HuggingFaceConfig
{
    /// <summary>A Llama-like decoder: sequential blocks with RMSNorm, rotary embedding and a gated feed-forward block, no biases.</summary>
    public static ModelConfig Read(JsonFields fields, FamilyDefaults defaults)
    {
        int hidden = fields.OptionalInteger("hidden_size", 1, ModelLimits.Hidden) ?? defaults.HiddenSize;
        int heads = fields.OptionalInteger("num_attention_heads", 1, ModelLimits.Heads) ?? defaults.Heads;
        int headDim = fields.OptionalInteger("head_dim", 1, ModelLimits.HeadDim) ?? DefaultHeadDim();
        int layers = fields.OptionalInteger("num_hidden_layers", 1, ModelLimits.Layers) ?? defaults.Layers;
        int context = fields.OptionalInteger("max_position_embeddings", 1, ModelLimits.Context) ?? defaults.Context;
        int vocabulary = fields.OptionalInteger("vocab_size", 1, ModelLimits.Vocabulary) ?? defaults.VocabularySize;
        RotaryConfig rotary = HuggingFaceRotary.Read(fields, headDim, context, defaults.Theta);
        return new ModelConfig
        {
            Architecture = fields.OptionalText("model_type") ?? throw fields.Missing("model_type", "a string"),
            VocabularySize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = fields.OptionalInteger("intermediate_size", 1, ModelLimits.Intermediate) ?? defaults.IntermediateSize,
            Layers = layers,
            Heads = heads,
            KvHeads = HeadFields.ReadKvHeads(fields, "num_key_value_heads", heads, fields.IsNull("num_key_value_heads") ? null : defaults.KvHeads),
            HeadDim = headDim,
            ContextLength = HuggingFaceRotary.ExtendedContext(context, rotary),
            NormEpsilon = (float)fields.OptionalNumber("rms_norm_eps", 0, 1).GetValueOrDefault(defaults.NormEpsilon),
            Activation = ReadActivation(fields, "hidden_act"),
            Rotary = rotary,
            Windows = ModelConfig.SameWindows(layers, 0),
            AttentionScale = 1 / MathF.Sqrt(headDim),
            TiedEmbeddings = fields.Flag("tie_word_embeddings", defaults.Tied),
            BosTokenId = fields.TokenId("bos_token_id", vocabulary),
            EosTokenIds = fields.TokenIds("eos_token_id", vocabulary),
            Names = WeightNames.HuggingFace,
        };

        int DefaultHeadDim() => fields.IsNull("head_dim") || defaults.HeadDim is null
            ? HeadFields.DefaultHeadDim(fields, "hidden_size", hidden, heads)
            : defaults.HeadDim.Value;
    }

    public static ActivationFunction ReadActivation(ConfigFields fields, string field, string fallback = "silu") =>
        (fields.OptionalText(field) ?? fallback) switch
        {
            "silu" or "swish" => ActivationFunction.Silu,
            "gelu" => ActivationFunction.Gelu,
            "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" => ActivationFunction.GeluTanh,
            var other => throw fields.Wrong(field, "silu, gelu, gelu_new or gelu_pytorch_tanh", other),
        };

    /// <summary>The width of the sliding window; 0 where null turns it off.</summary>
    public static int ReadWindow(JsonFields fields, int fallback) =>
        fields.IsNull("sliding_window") ? 0 : fields.OptionalInteger("sliding_window", 1, int.MaxValue) ?? fallback;

    /// <summary>The window of each layer: <c>layer_types</c> decides, or <paramref name="slides"/> where the file has no such list.</summary>
    public static ImmutableArray<int> ReadWindows(ConfigFields fields, int layers, int window, Func<int, bool> slides)
    {
        ImmutableArray<string>? types = fields.OptionalTexts("layer_types");
        if (types is { } list && list.Length != layers) throw fields.Wrong("layer_types", $"one entry for each of the {layers} layers", list.Length);
        return [.. Enumerable.Range(0, layers).Select(layer => Slides(layer) ? window : 0)];

        bool Slides(int layer) => types?[layer] switch
        {
            null => slides(layer),
            "full_attention" => false,
            "sliding_attention" => true,
            var other => throw fields.Wrong("layer_types", "full_attention or sliding_attention", other),
        };
    }
}
