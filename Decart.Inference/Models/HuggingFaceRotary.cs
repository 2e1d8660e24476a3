namespace Decart.Inference.Models;

/// <summary>
/// Reads the rotary embedding of a <c>config.json</c>: from <c>rope_parameters</c> (transformers 5) or from <c>rope_theta</c> and
/// <c>rope_scaling</c> (before).
/// </summary>
internal static class HuggingFaceRotary
{
    private const string Kinds = "default, linear, dynamic, llama3, yarn or longrope (su)";

    public static RotaryConfig Read(JsonFields fields, int headDim, int contextLength, double defaultTheta)
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

    /// <summary>YaRN configurations often keep the length from before the stretch as their maximum, those of dynamic NTK always do.</summary>
    public static int ExtendedContext(int context, RotaryConfig rotary) => rotary.Scaling switch
    {
        RotaryScaling.Yarn => (int)Math.Clamp(rotary.OriginalContextLength * rotary.Factor, context, ModelLimits.Context),
        RotaryScaling.DynamicNtk => rotary.ContextLength,
        _ => context,
    };

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
            "dynamic" => ReadDynamic(scaling, plain, contextLength),
            "llama3" => ReadLlama3(scaling, plain with { OriginalContextLength = Original() }),
            "longrope" or "su" => ReadLongRope(scaling, plain with { OriginalContextLength = Original() }, contextLength),
            // The first Phi-3 files name a variant of longrope so.
            "yarn" when scaling.Has("short_factor") => ReadLongRope(scaling, plain with { OriginalContextLength = Original() }, contextLength),
            "yarn" => ReadYarn(scaling, plain with { OriginalContextLength = Original() }, contextLength),
            _ => throw scaling.Wrong(typeField, Kinds, type),
        };
    }

    private static RotaryConfig ReadDynamic(JsonFields scaling, RotaryConfig plain, int contextLength)
    {
        if (plain.Dimensions == 2) throw scaling.Wrong("factor", "more than 2 rotated dimensions with dynamic scaling", plain.Dimensions);
        double factor = scaling.Number("factor", 1, 1e6);
        double longest = Math.Min(Math.Floor(contextLength * factor), (double)contextLength + RotaryConfig.LongestExtension);
        return plain with
        {
            Scaling = RotaryScaling.DynamicNtk,
            Factor = factor,
            OriginalContextLength = contextLength,
            ContextLength = (int)Math.Min(longest, ModelLimits.Context),
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

    private static RotaryConfig ReadLongRope(JsonFields scaling, RotaryConfig plain, int contextLength)
    {
        double factor = scaling.OptionalNumber("factor", 1e-3, 1e6) ?? (double)contextLength / plain.OriginalContextLength;
        return plain with
        {
            Scaling = RotaryScaling.LongRope,
            Factor = factor,
            FrequencyDivisors = [.. scaling.Numbers("short_factor", plain.Dimensions / 2, 1e-6, 1e9).Select(value => (float)value)],
            LongFrequencyDivisors = [.. scaling.Numbers("long_factor", plain.Dimensions / 2, 1e-6, 1e9).Select(value => (float)value)],
            AttentionFactor = scaling.OptionalNumber("attention_factor", 1e-6, 1e3)
                ?? RotaryConfig.LongRopeAttentionFactor(factor, plain.OriginalContextLength),
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
}
