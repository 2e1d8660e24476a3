namespace Decart.Inference.Sampling;

/// <summary>How one sequence's tokens are chosen: the caller's options with every default filled in.</summary>
internal sealed record SamplingParameters
{
    public required int MaxTokens { get; init; }
    public required float Temperature { get; init; }
    public required int TopK { get; init; }
    public required float TopP { get; init; }
    public required float MinP { get; init; }
    public required ulong Seed { get; init; }
    public required float RepetitionPenalty { get; init; }
    public required float FrequencyPenalty { get; init; }
    public required float PresencePenalty { get; init; }
    public required KeyValuePair<int, float>[] LogitBias { get; init; }
    public required int? TopLogprobs { get; init; }
    public required int Priority { get; init; }

    public bool HasPenalties => RepetitionPenalty != 1 || FrequencyPenalty != 0 || PresencePenalty != 0;

    public bool ChangesLogits => HasPenalties || LogitBias.Length > 0;

    /// <summary>Fills in what the caller left open.</summary>
    /// <param name="options">Validated options.</param>
    /// <param name="defaults">The checkpoint's own defaults.</param>
    public static SamplingParameters Resolve(GenerationOptions options, GenerationOptions defaults) => new()
    {
        MaxTokens = options.MaxTokens,
        Temperature = options.Temperature ?? defaults.Temperature ?? 1,
        TopK = options.TopK ?? defaults.TopK ?? 0,
        TopP = options.TopP ?? defaults.TopP ?? 1,
        MinP = options.MinP ?? defaults.MinP ?? 0,
        Seed = (ulong)(options.Seed ?? Random.Shared.NextInt64()),
        RepetitionPenalty = options.RepetitionPenalty ?? defaults.RepetitionPenalty ?? 1,
        FrequencyPenalty = options.FrequencyPenalty,
        PresencePenalty = options.PresencePenalty,
        LogitBias = [.. options.LogitBias ?? new Dictionary<int, float>()],
        TopLogprobs = options.TopLogprobs,
        Priority = options.Priority,
    };
}
