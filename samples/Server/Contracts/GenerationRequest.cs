using System.Text.Json;

namespace Server.Contracts;

/// <summary>What requests for chats and for completions have in common.</summary>
internal abstract record GenerationRequest : IModelRequest
{
    public string? Model { get; init; }

    public bool? Stream { get; init; }

    public StreamOptions? StreamOptions { get; init; }

    public int? MaxTokens { get; init; }

    public int? N { get; init; }

    public float? Temperature { get; init; }

    public float? TopP { get; init; }

    public float? FrequencyPenalty { get; init; }

    public float? PresencePenalty { get; init; }

    public long? Seed { get; init; }

    /// <summary>A text or a list of texts.</summary>
    public JsonElement? Stop { get; init; }

    public IReadOnlyDictionary<string, float>? LogitBias { get; init; }

    // What OpenAI's API does not have and this engine does.

    public int? TopK { get; init; }

    public float? MinP { get; init; }

    public float? RepetitionPenalty { get; init; }

    public bool? IgnoreEos { get; init; }

    // Passed over: whom the answer is for changes nothing.

    public string? User { get; init; }
}

/// <summary>A request that names the model.</summary>
internal interface IModelRequest
{
    string? Model { get; }
}

/// <param name="IncludeUsage">Whether a last chunk says what the request cost.</param>
/// <param name="IncludeObfuscation">Passed over: nothing is added to chunks.</param>
internal sealed record StreamOptions(bool? IncludeUsage = null, bool? IncludeObfuscation = null);
