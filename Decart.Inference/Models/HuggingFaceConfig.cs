using System.Collections.Immutable;
using Decart.Inference.Kernels;

namespace Decart.Inference.Models;

/// <summary>Reads the parts of a Hugging Face <c>config.json</c> that most families have in common, as transformers understands them.</summary>
internal static class HuggingFaceConfig
{
    /// <summary>A Llama-like decoder: sequential blocks with RMSNorm, rotary embedding and a gated feed-forward block, no biases.</summary>
    public static ModelConfig Read(JsonFields fields, bool tiedByDefault = false, double defaultTheta = 10000, double defaultEpsilon = 1e-6)
    {
        int hidden = fields.Integer("hidden_size", 1, ModelLimits.Hidden);
        int heads = fields.Integer("num_attention_heads", 1, ModelLimits.Heads);
        int headDim = fields.OptionalInteger("head_dim", 1, ModelLimits.HeadDim) ?? HeadFields.DefaultHeadDim(fields, "hidden_size", hidden, heads);
        int layers = fields.Integer("num_hidden_layers", 1, ModelLimits.Layers);
        int context = fields.Integer("max_position_embeddings", 1, ModelLimits.Context);
        RotaryConfig rotary = ReadRotary(fields, headDim, context, defaultTheta);
        return new ModelConfig
        {
            Architecture = fields.OptionalText("model_type") ?? throw fields.Missing("model_type", "a string"),
            VocabularySize = fields.Integer("vocab_size", 1, ModelLimits.Vocabulary),
            HiddenSize = hidden,
            IntermediateSize = fields.Integer("intermediate_size", 1, ModelLimits.Intermediate),
            Layers = layers,
            Heads = heads,
            KvHeads = HeadFields.ReadKvHeads(fields, "num_key_value_heads", heads),
            HeadDim = headDim,
            ContextLength = ExtendedContext(context, rotary),
            NormEpsilon = (float)fields.OptionalNumber("rms_norm_eps", 0, 1).GetValueOrDefault(defaultEpsilon),
            Activation = ReadActivation(fields, "hidden_act"),
            Rotary = rotary,
            Windows = ModelConfig.SameWindows(layers, 0),
            AttentionScale = 1 / MathF.Sqrt(headDim),
            TiedEmbeddings = fields.Flag("tie_word_embeddings", tiedByDefault),
            BosTokenId = fields.OptionalInteger("bos_token_id", 0, int.MaxValue),
            EosTokenIds = fields.Integers("eos_token_id", 0, int.MaxValue),
            Names = WeightNames.HuggingFace,
        };
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

    /// <summary>
    /// The rotary embedding from <c>rope_parameters</c> (transformers 5) or <c>rope_theta</c> and <c>rope_scaling</c> (before).
    /// </summary>
    public static RotaryConfig ReadRotary(JsonFields fields, int headDim, int contextLength, double defaultTheta)
    {
        JsonFields? scaling = fields.OptionalSection("rope_parameters") ?? fields.OptionalSection("rope_scaling");
        ConfigFields source = scaling ?? fields;
        double partial = source.OptionalNumber("partial_rotary_factor", 0, 1) ?? fields.OptionalNumber("partial_rotary_factor", 0, 1) ?? 1;
        int dimensions = (int)(headDim * partial);
        if (dimensions == 0 || dimensions % 2 != 0)
        {
            throw fields.Wrong("head_dim", "an even number of rotated dimensions in each head", dimensions);
        }
        RotaryConfig plain = new()
        {
            Theta = source.OptionalNumber("rope_theta", 2, 1e15) ?? fields.OptionalNumber("rope_theta", 2, 1e15) ?? defaultTheta,
            Dimensions = dimensions,
        };
        return scaling is null ? plain : ReadScaling(fields, scaling, plain, contextLength);
    }

    private static RotaryConfig ReadScaling(JsonFields fields, JsonFields scaling, RotaryConfig plain, int contextLength)
    {
        string typeField = scaling.Has("rope_type") ? "rope_type" : "type";
        string type = scaling.OptionalText(typeField) ?? "default";
        foreach (string layerType in (ReadOnlySpan<string>)["full_attention", "sliding_attention"])
        {
            if (scaling.Has(layerType)) throw scaling.Wrong(layerType, "one rotary embedding for all layers", "another for each type of layer");
        }
        int Original() =>
            scaling.OptionalInteger("original_max_position_embeddings", 1, ModelLimits.Context)
            ?? fields.OptionalInteger("original_max_position_embeddings", 1, ModelLimits.Context)
            ?? contextLength;

        return type switch
        {
            "default" => plain,
            "linear" => plain with { Scaling = RotaryScaling.Linear, Factor = scaling.Number("factor", 1e-3, 1e6) },
            "llama3" => ReadLlama3(scaling, plain with { OriginalContextLength = Original() }),
            "yarn" => ReadYarn(scaling, plain with { OriginalContextLength = Original() }, contextLength),
            _ => throw scaling.Wrong(typeField, "default, linear, llama3 or yarn", type),
        };
    }

    private static RotaryConfig ReadLlama3(JsonFields scaling, RotaryConfig plain)
    {
        double low = scaling.Number("low_freq_factor", 1e-6, 1e6);
        double high = scaling.Number("high_freq_factor", 1e-6, 1e6);
        if (high <= low) throw scaling.Wrong("high_freq_factor", "a number greater than low_freq_factor", high);
        return plain with
        {
            Scaling = RotaryScaling.Llama3,
            Factor = scaling.Number("factor", 1, 1e6),
            LowFrequencyFactor = low,
            HighFrequencyFactor = high,
        };
    }

    private static RotaryConfig ReadYarn(JsonFields scaling, RotaryConfig plain, int contextLength)
    {
        double factor = scaling.OptionalNumber("factor", 1e-3, 1e6) ?? (double)contextLength / plain.OriginalContextLength;
        double mscale = scaling.OptionalNumber("mscale", 0, 1e3) ?? 0, mscaleAllDim = scaling.OptionalNumber("mscale_all_dim", 0, 1e3) ?? 0;
        double defaultAttentionFactor = mscale != 0 && mscaleAllDim != 0
            ? RotaryConfig.YarnAttentionFactor(factor, mscale) / RotaryConfig.YarnAttentionFactor(factor, mscaleAllDim)
            : RotaryConfig.YarnAttentionFactor(factor);
        return plain with
        {
            Scaling = RotaryScaling.Yarn,
            Factor = factor,
            AttentionFactor = scaling.OptionalNumber("attention_factor", 1e-6, 1e3) ?? defaultAttentionFactor,
            BetaFast = PositiveOr("beta_fast", 32),
            BetaSlow = PositiveOr("beta_slow", 1),
            Truncate = scaling.Flag("truncate", true),
        };

        double PositiveOr(string field, double fallback) => scaling.OptionalNumber(field, 0, 1e6) is { } value and not 0 ? value : fallback;
    }

    /// <summary>YaRN configurations often keep the length from before the stretch as their maximum.</summary>
    private static int ExtendedContext(int context, RotaryConfig rotary) => rotary.Scaling == RotaryScaling.Yarn
        ? (int)Math.Clamp(rotary.OriginalContextLength * rotary.Factor, context, ModelLimits.Context)
        : context;
}
