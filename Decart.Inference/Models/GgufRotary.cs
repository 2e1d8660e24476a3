using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models;

/// <summary>Reads the rotary embedding of a GGUF file with llama.cpp's defaults.</summary>
internal static class GgufRotary
{
    private const string DivisorsName = "rope_freqs.weight", ShortDivisorsName = "rope_factors_short.weight", LongDivisorsName = "rope_factors_long.weight";

    public static RotaryConfig Read(GgufFields fields, int headDim, int context)
    {
        int dimensions = fields.OptionalInteger("rope.dimension_count", 2, headDim) ?? headDim;
        if (dimensions % 2 != 0) throw fields.Wrong("rope.dimension_count", "an even number", dimensions);
        RotaryConfig plain = new()
        {
            Theta = fields.OptionalNumber("rope.freq_base", 2, 1e15) ?? 10000,
            Dimensions = dimensions,
            FrequencyDivisors = fields.HasTensor(DivisorsName) ? ReadDivisors(fields, DivisorsName, dimensions / 2) : [],
            AttentionFactor = fields.OptionalNumber("rope.scaling.attn_factor", 1e-6, 1e3) ?? 1,
        };
        double stored = fields.OptionalNumber("rope.scaling.factor", 0, 1e6) ?? fields.OptionalNumber("rope.scale_linear", 0, 1e6) ?? 0;
        double factor = stored == 0 ? 1 : stored;
        string type = fields.OptionalText("rope.scaling.type") ?? "linear";
        // Files of longrope models have the tensors, and most say no type.
        if (plain.FrequencyDivisors.IsEmpty && (type == "longrope" || fields.HasTensor(ShortDivisorsName) || fields.HasTensor(LongDivisorsName)))
        {
            return ReadLongRope(fields, plain, context);
        }
        return type switch
        {
            "none" or "longrope" => plain,
            "linear" => plain with { Scaling = RotaryScaling.Linear, Factor = factor },
            "yarn" => plain with
            {
                Scaling = RotaryScaling.Yarn,
                Factor = factor,
                OriginalContextLength = ReadOriginalContext(fields, context),
                AttentionFactor = RotaryConfig.YarnAttentionFactor(factor) * plain.AttentionFactor,
                BetaFast = fields.OptionalNumber("rope.scaling.yarn_beta_fast", 1e-6, 1e6) ?? 32,
                BetaSlow = fields.OptionalNumber("rope.scaling.yarn_beta_slow", 1e-6, 1e6) ?? 1,
            },
            _ => throw fields.Wrong("rope.scaling.type", "none, linear, yarn or longrope", type),
        };
    }

    /// <remarks>llama.cpp takes the short or the long divisors by the context that it is started with; here each sequence's length decides.</remarks>
    private static RotaryConfig ReadLongRope(GgufFields fields, RotaryConfig plain, int context) => plain with
    {
        Scaling = RotaryScaling.LongRope,
        OriginalContextLength = ReadOriginalContext(fields, context),
        FrequencyDivisors = ReadDivisors(fields, ShortDivisorsName, plain.Dimensions / 2),
        LongFrequencyDivisors = ReadDivisors(fields, LongDivisorsName, plain.Dimensions / 2),
    };

    private static int ReadOriginalContext(GgufFields fields, int context) =>
        fields.OptionalInteger("rope.scaling.original_context_length", 1, ModelLimits.Context) ?? context;

    private static unsafe ImmutableArray<float> ReadDivisors(GgufFields fields, string name, int count)
    {
        StoredTensor tensor = fields.Tensors.Require(name, count);
        if (tensor.Type != TensorType.F32) throw new ModelLoadException(fields.File, name, $"expected type F32, found {tensor.Type}");
        float[] divisors = new float[count];
        for (int i = 0; i < count; i++)
        {
            divisors[i] = Unsafe.ReadUnaligned<float>(tensor.Pointer + i * sizeof(float));
            if (!(divisors[i] > 0 && float.IsFinite(divisors[i])))
            {
                throw new ModelLoadException(fields.File, name, $"expected positive numbers, found {divisors[i]} at {i}");
            }
        }
        return [.. divisors];
    }
}
