using System.Runtime.InteropServices;

namespace Decart.Inference.Sampling;

/// <summary>The numbers that decide which token is drawn from logits, as the host reads them, and a GPU from its memory.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SamplingNumbers
{
    public const int Bytes = 40;

    public ulong Seed;

    /// <summary>0 for the most probable token.</summary>
    public float Temperature;

    /// <summary>The number of tokens that are kept; 0 for all.</summary>
    public int TopK;

    public float TopP, MinP, RepetitionPenalty, FrequencyPenalty, PresencePenalty;

    public int Padding;
}

/// <summary>How one sequence's tokens are sampled: the caller's options with every default filled in.</summary>
internal sealed record SamplingParameters
{
    public required SamplingNumbers Numbers { get; init; }

    public required KeyValuePair<int, float>[] LogitBias { get; init; }

    public required int? TopLogprobs { get; init; }

    public required int MaxTokens { get; init; }

    public required int Priority { get; init; }

    /// <summary>Whether each token is chosen from those that a mask leaves.</summary>
    public bool IsMasked { get; init; }

    public bool HasPenalties => Numbers is not { RepetitionPenalty: 1, FrequencyPenalty: 0, PresencePenalty: 0 };

    public bool ChangesLogits => HasPenalties || LogitBias.Length > 0 || IsMasked;

    /// <summary>Fills in what the caller left open.</summary>
    /// <param name="options">Validated options.</param>
    /// <param name="defaults">The checkpoint's own defaults.</param>
    public static SamplingParameters Resolve(GenerationOptions options, GenerationOptions defaults) => new()
    {
        Numbers = new SamplingNumbers
        {
            Seed = (ulong)(options.Seed ?? Random.Shared.NextInt64()),
            Temperature = options.Temperature ?? defaults.Temperature ?? 1,
            TopK = options.TopK ?? defaults.TopK ?? 0,
            TopP = options.TopP ?? defaults.TopP ?? 1,
            MinP = options.MinP ?? defaults.MinP ?? 0,
            RepetitionPenalty = options.RepetitionPenalty ?? defaults.RepetitionPenalty ?? 1,
            FrequencyPenalty = options.FrequencyPenalty,
            PresencePenalty = options.PresencePenalty,
        },
        LogitBias = [.. options.LogitBias ?? new Dictionary<int, float>()],
        TopLogprobs = options.TopLogprobs,
        MaxTokens = options.MaxTokens,
        Priority = options.Priority,
        IsMasked = options.Grammar is not null,
    };
}
