using System.Collections.Immutable;
using Decart.Inference.Kernels;

namespace Decart.Inference.Models;

/// <summary>How the frequencies of a rotary embedding are stretched for contexts longer than the ones trained on.</summary>
internal enum RotaryScaling
{
    None,
    /// <summary>Positions are divided by the factor (position interpolation, Chen et al., 2023).</summary>
    Linear,
    /// <summary>Llama 3.1: low frequencies are divided by the factor, high ones kept, those between interpolated.</summary>
    Llama3,
    /// <summary>YaRN (Peng et al., 2023): a ramp between the two over the dimensions, and an attention factor.</summary>
    Yarn,
    /// <summary>LongRoPE (Ding et al., 2024): each frequency has two divisors, one for sequences up to the original context and one for longer ones.</summary>
    LongRope,
    /// <summary>Dynamic NTK: beyond the original context the base grows with the length of the sequence.</summary>
    DynamicNtk,
}

/// <summary>A rotary embedding (Su et al., RoFormer, 2021) as a configuration describes it.</summary>
internal sealed record RotaryConfig
{
    /// <summary>The most tokens by which dynamic NTK extends a context: it has a set of frequencies for each.</summary>
    public const int LongestExtension = 1 << 20;

    public required double Theta { get; init; }

    /// <summary>Rotated dimensions of a head, an even number; the others pass through.</summary>
    public required int Dimensions { get; init; }

    public RotaryScaling Scaling { get; init; }

    public double Factor { get; init; } = 1;

    /// <summary>The context length that the model was trained with before scaling (all but Linear).</summary>
    public int OriginalContextLength { get; init; }

    /// <summary>The longest sequence that frequencies are needed for (DynamicNtk).</summary>
    public int ContextLength { get; init; }

    public double LowFrequencyFactor { get; init; } = 1;

    public double HighFrequencyFactor { get; init; } = 4;

    public double BetaFast { get; init; } = 32;

    public double BetaSlow { get; init; } = 1;

    /// <summary>Whether YaRN's ramp begins and ends at whole dimensions.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>Factor on cosines and sines.</summary>
    public double AttentionFactor { get; init; } = 1;

    /// <summary>
    /// Divisors of the single frequencies: LongRoPE's for sequences within the original context, or those that GGUF stores ready-made instead of
    /// Llama 3's parameters; empty without them.
    /// </summary>
    public ImmutableArray<float> FrequencyDivisors { get; init; } = [];

    /// <summary>LongRoPE's divisors for sequences beyond the original context.</summary>
    public ImmutableArray<float> LongFrequencyDivisors { get; init; } = [];

    public bool Interleaved { get; init; }

    /// <summary>YaRN's default attention factor for a stretch by <paramref name="factor"/>.</summary>
    public static double YarnAttentionFactor(double factor, double scale = 1) => factor <= 1 ? 1 : 0.1 * scale * Math.Log(factor) + 1;

    /// <summary>LongRoPE's default attention factor for a stretch by <paramref name="factor"/>.</summary>
    public static double LongRopeAttentionFactor(double factor, int originalContextLength) =>
        factor <= 1 || originalContextLength <= 1 ? 1 : Math.Sqrt(1 + Math.Log(factor) / Math.Log(originalContextLength));

    /// <summary>See <see cref="IDecoder.RotaryLength"/>.</summary>
    public Func<int, int, int>? RotaryLength => Scaling switch
    {
        RotaryScaling.LongRope => (_, length) => length > OriginalContextLength ? OriginalContextLength + 1 : 0,
        RotaryScaling.DynamicNtk => (promptLength, _) => promptLength > OriginalContextLength ? promptLength : 0,
        _ => null,
    };

    public RotaryParameters ToParameters()
    {
        int sets = Scaling switch
        {
            RotaryScaling.LongRope => 2,
            RotaryScaling.DynamicNtk => Math.Max(1, ContextLength - OriginalContextLength + 1),
            _ => 1,
        };
        float[] frequencies = new float[checked(sets * (Dimensions / 2))];
        for (int set = 0; set < sets; set++) Fill(set, frequencies.AsSpan(set * (Dimensions / 2), Dimensions / 2));
        return new RotaryParameters(frequencies, (float)AttentionFactor, Interleaved) { Sets = sets, FirstSetLength = OriginalContextLength };
    }

    /// <remarks>Float32 at the same places as PyTorch, whose rounding trained models have seen.</remarks>
    private void Fill(int set, Span<float> frequencies)
    {
        double theta = Scaling == RotaryScaling.DynamicNtk ? DynamicTheta(OriginalContextLength + set) : Theta;
        ReadOnlySpan<float> divisors = Scaling == RotaryScaling.LongRope && set > 0 ? LongFrequencyDivisors.AsSpan() : FrequencyDivisors.AsSpan();
        for (int i = 0; i < frequencies.Length; i++)
        {
            float power = (float)Math.Pow((float)theta, (float)(2 * i) / Dimensions);
            if (!divisors.IsEmpty) power *= divisors[i];
            frequencies[i] = Scaling switch
            {
                RotaryScaling.Linear => 1 / power / (float)Factor,
                RotaryScaling.Llama3 => ScaleLlama3(1 / power),
                RotaryScaling.Yarn => ScaleYarn(power, i),
                _ => 1 / power,
            };
        }
    }

    private double DynamicTheta(int length) =>
        Theta * Math.Pow(Factor * length / OriginalContextLength - (Factor - 1), Dimensions / (Dimensions - 2.0));

    private float ScaleLlama3(float frequency)
    {
        float wavelength = (float)(2 * Math.PI) / frequency;
        if (wavelength > (float)(OriginalContextLength / LowFrequencyFactor)) return frequency / (float)Factor;
        if (wavelength < (float)(OriginalContextLength / HighFrequencyFactor)) return frequency;
        float smooth = (OriginalContextLength / wavelength - (float)LowFrequencyFactor) / (float)(HighFrequencyFactor - LowFrequencyFactor);
        return (1 - smooth) * frequency / (float)Factor + smooth * frequency;
    }

    private float ScaleYarn(float power, int pair)
    {
        double low = DimensionOfRotations(BetaFast), high = DimensionOfRotations(BetaSlow);
        if (Truncate) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, Dimensions - 1));
        if (low == high) high += 0.001;
        float interpolated = Math.Clamp((pair - (float)low) / (float)(high - low), 0f, 1f);
        float kept = 1 - interpolated;
        return 1 / ((float)Factor * power) * (1 - kept) + 1 / power * kept;
    }

    /// <summary>The (fractional) pair whose angle makes the given number of full turns within the original context.</summary>
    private double DimensionOfRotations(double rotations) =>
        Dimensions * Math.Log(OriginalContextLength / (rotations * 2 * Math.PI)) / (2 * Math.Log(Theta));
}
