using System.Text.Json;
using System.Text.Json.Serialization;

namespace Server.Contracts;

/// <summary>The body of <c>POST /v1/completions</c>.</summary>
internal sealed record CompletionRequest : GenerationRequest
{
    /// <summary>A text, a list of texts, a list of token ids or a list of such lists.</summary>
    public JsonElement? Prompt { get; init; }

    /// <summary>How many of the most probable tokens are said at each position.</summary>
    public int? Logprobs { get; init; }

    /// <summary>Whether the answer begins with the prompt.</summary>
    public bool? Echo { get; init; }

    /// <summary>Only as many as are returned.</summary>
    public int? BestOf { get; init; }

    /// <summary>Never: texts are continued at their ends.</summary>
    public string? Suffix { get; init; }
}

/// <summary>The answer of <c>POST /v1/completions</c>, or a piece of one that is streamed.</summary>
internal sealed record CompletionResponse(string Id, string Object, long Created, string Model, IReadOnlyList<CompletionChoice> Choices)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public StreamUsage Usage { get; init; }
}

internal sealed record CompletionChoice(
    int Index,
    string Text,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] CompletionLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);

/// <param name="Tokens">The texts of the tokens.</param>
/// <param name="TokenLogprobs">Their log-probabilities; null for the first of a text.</param>
/// <param name="TopLogprobs">The most probable tokens at their positions.</param>
/// <param name="TextOffset">Where the tokens begin, in code points of the text.</param>
internal sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens,
    IReadOnlyList<float?> TokenLogprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] IReadOnlyList<IReadOnlyDictionary<string, float>?>? TopLogprobs,
    IReadOnlyList<int> TextOffset);
