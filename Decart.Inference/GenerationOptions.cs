using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using Decart.Inference.Checkpoints;
using Decart.Inference.Diagnostics;
using Decart.Inference.Values;

namespace Decart.Inference;

/// <summary>How tokens are chosen and when a completion ends. Immutable: lists are copied when they are set.</summary>
/// <remarks>
/// <para>
/// From logits to a token, in this order: repetition penalty, frequency and presence penalties, grammar, logit bias, temperature, top-k, top-p
/// (over the probabilities that top-k left, renormalised), min-p; then one token is drawn in proportion to the remaining probabilities.
/// At temperature 0 the token with the largest logit after penalties and bias is chosen; ties go to the lower id.
/// </para>
/// <para>
/// A property left <see langword="null"/> takes its value from the checkpoint's <c>generation_config.json</c>, or else the default that the property documents.
/// </para>
/// </remarks>
public sealed record GenerationOptions
{
    internal const float MaxTemperature = 100, MinRepetitionPenalty = 0.01f, MaxRepetitionPenalty = 100;

    private const float MaxLogitBias = 1_000_000_000;

    private const int MaxStopCharacters = 65_536;

    internal static GenerationOptions Default { get; } = new();

    /// <summary>The most tokens to generate, at least 1; a completion also ends when the model's context is full. Default 256.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>Divides the logits: values below 1 favour probable tokens, values above 1 even them out; 0 always takes the most probable token. 0 to 100. Default 1.</summary>
    public float? Temperature { get; init; }

    /// <summary>Samples from the k most probable tokens; ties go to the lower id. At least 0; 0 means all. Default 0.</summary>
    public int? TopK { get; init; }

    /// <summary>Samples from the smallest set of most probable tokens whose probabilities sum to at least this. Above 0, at most 1; 1 means all. Default 1.</summary>
    public float? TopP { get; init; }

    /// <summary>Drops tokens whose probability is below this fraction of the most probable token's. 0 to 1; 0 means none. Default 0.</summary>
    public float? MinP { get; init; }

    /// <summary>
    /// Makes sampling reproducible: the same model, prompt, options and seed give the same tokens on the same machine, whatever else the session computes.
    /// <see langword="null"/> (the default) for a random seed.
    /// </summary>
    public long? Seed { get; init; }

    /// <summary>
    /// Texts that end the completion; neither the sequence nor anything after it is part of the completion's text. The sequence that is complete first
    /// counts; of several that end together, the longest. Compared ordinally. A sequence may name special tokens (<c>&lt;|im_end|&gt;</c>): it then matches the
    /// tokens, which have no text, as well as their names written out. At most 65,536 characters in all. Default none.
    /// </summary>
    public IReadOnlyList<string> StopSequences { get; init => field = ValueList<string>.Copy(value); } = ValueList<string>.Copy([]);

    /// <summary>
    /// Tokens that end the completion, in addition to the model's own end-of-text tokens and even if <see cref="IgnoreEndOfText"/> is set. The text of
    /// the token that ends it is not part of the completion. Default none.
    /// </summary>
    public IReadOnlyList<int> StopTokenIds { get; init => field = ValueList<int>.Copy(value); } = ValueList<int>.Copy([]);

    /// <summary>
    /// Makes tokens that have occurred in the prompt or the completion less probable: positive logits are divided by this, negative ones multiplied
    /// by it (Keskar et al., CTRL, 2019). 0.01 to 100; 1 changes nothing, values below 1 encourage repetition. Default 1.
    /// </summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>Subtracted from a token's logit each time it has occurred in the completion. -2 to 2; default 0.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Subtracted from a token's logit once if it has occurred in the completion. -2 to 2; default 0.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Added to the logits of these tokens; -1e9 to 1e9, or negative infinity to forbid a token. Default none.</summary>
    [JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
    public IReadOnlyDictionary<int, float>? LogitBias { get; init => field = ValueDictionary<int, float>.Copy(value); }

    /// <summary>
    /// Returns each token's log-probability and those of this many most probable tokens, 0 to 20; <see langword="null"/> (the default) for none.
    /// They come from the model's own distribution: before penalties, bias, temperature and truncation.
    /// </summary>
    public int? TopLogprobs { get; init; }

    /// <summary>
    /// Whether to go on generating after the model has ended the text, until <see cref="MaxTokens"/>, a stop sequence or a stop token, or as far as a
    /// <see cref="Grammar"/> allows. Default <see langword="false"/>.
    /// </summary>
    public bool IgnoreEndOfText { get; init; }

    /// <summary>
    /// What the completion must look like: JSON, a schema, a regular expression, a choice, a grammar of one's own. It restricts the tokens before bias,
    /// temperature and what follows. Stop sequences still end the completion where they appear, complete or not; stop tokens only where it may end. Left out
    /// when options are written as JSON. Default none.
    /// </summary>
    [JsonIgnore]
    public Grammar? Grammar { get; init; }

    /// <summary>
    /// Requests of higher priority run first and are the last to give up their memory; among equals, earlier requests come first. Default 0.
    /// </summary>
    public int Priority { get; init; }

    /// <summary>Special tokens whose names are part of the text, where they stand for something that is read from it.</summary>
    internal IReadOnlyDictionary<int, string>? WrittenTokens { get; init; }

    /// <summary>What the completion is for, as listeners are told; null for what they are not told of.</summary>
    internal string? Operation { get; init; } = TelemetryNames.Operations.TextCompletion;

    internal void Validate(int vocabularySize)
    {
        Require(MaxTokens >= 1, nameof(MaxTokens), MaxTokens, "at least 1");
        Require(Temperature is null or (>= 0 and <= MaxTemperature), nameof(Temperature), Temperature, $"0 to {MaxTemperature}");
        Require(TopK is not < 0, nameof(TopK), TopK, "at least 0");
        Require(TopP is null or (> 0 and <= 1), nameof(TopP), TopP, "above 0 and at most 1");
        Require(MinP is null or (>= 0 and <= 1), nameof(MinP), MinP, "0 to 1");
        Require(
            RepetitionPenalty is null or (>= MinRepetitionPenalty and <= MaxRepetitionPenalty),
            nameof(RepetitionPenalty),
            RepetitionPenalty,
            FormattableString.Invariant($"{MinRepetitionPenalty} to {MaxRepetitionPenalty}"));
        Require(FrequencyPenalty is >= -2 and <= 2, nameof(FrequencyPenalty), FrequencyPenalty, "-2 to 2");
        Require(PresencePenalty is >= -2 and <= 2, nameof(PresencePenalty), PresencePenalty, "-2 to 2");
        if (TopLogprobs is { } top) ValidateTopLogprobs(top, nameof(TopLogprobs));
        foreach ((int id, float bias) in LogitBias ?? new Dictionary<int, float>())
        {
            Require(id >= 0 && id < vocabularySize, nameof(LogitBias), id, $"a token id of the vocabulary, 0 to {vocabularySize - 1}");
            Require(bias is float.NegativeInfinity or (>= -MaxLogitBias and <= MaxLogitBias), nameof(LogitBias), bias, $"-{MaxLogitBias} to {MaxLogitBias}, or negative infinity");
        }
        ValidateStops(vocabularySize);
    }

    internal static void ValidateTopLogprobs(int top, string option) => Require(top is >= 0 and <= 20, option, top, "0 to 20");

    private void ValidateStops(int vocabularySize)
    {
        Require(StopSequences is not null, nameof(StopSequences), null, "a list, which may be empty");
        long characters = 0;
        foreach (string stop in StopSequences)
        {
            Require(!string.IsNullOrEmpty(stop), nameof(StopSequences), stop, "texts of at least one character");
            characters += stop.Length;
            Require(characters <= MaxStopCharacters, nameof(StopSequences), characters, $"at most {MaxStopCharacters} characters in all");
            bool cutsCharacter = char.IsLowSurrogate(stop[0]) || char.IsHighSurrogate(stop[^1]);
            Require(!cutsCharacter, nameof(StopSequences), Quoted.Value(stop), "texts that begin and end with whole characters");
        }
        Require(StopTokenIds is not null, nameof(StopTokenIds), null, "a list, which may be empty");
        foreach (int id in StopTokenIds)
            Require(id >= 0 && id < vocabularySize, nameof(StopTokenIds), id, $"token ids of the vocabulary, 0 to {vocabularySize - 1}");
    }

    internal static void Require([DoesNotReturnIf(false)] bool holds, string option, object? value, string expectation)
    {
        if (!holds) throw new ArgumentOutOfRangeException(option, value, $"{option} must be {expectation}.");
    }
}
