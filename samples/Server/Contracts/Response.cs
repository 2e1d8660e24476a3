using System.Text.Json;
using System.Text.Json.Serialization;

namespace Server.Contracts;

/// <summary>The answer of <c>POST /v1/responses</c>.</summary>
internal sealed record Response
{
    public required string Id { get; init; }

    public string Object { get; } = "response";

    public required long CreatedAt { get; init; }

    /// <summary><c>in_progress</c>, <c>completed</c>, <c>incomplete</c> or <c>failed</c>.</summary>
    public required string Status { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public ResponseError? Error { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public IncompleteDetails? IncompleteDetails { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? Instructions { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public int? MaxOutputTokens { get; init; }

    public required string Model { get; init; }

    public required IReadOnlyList<OutputItem> Output { get; init; }

    public required bool ParallelToolCalls { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? PreviousResponseId { get; init; }

    public required ResponseReasoning Reasoning { get; init; }

    public bool Store { get; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public float? Temperature { get; init; }

    public required ResponseText Text { get; init; }

    public required JsonElement ToolChoice { get; init; }

    public required IReadOnlyList<ResponseTool> Tools { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public float? TopP { get; init; }

    public string Truncation { get; } = "disabled";

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public ResponseUsage? Usage { get; init; }

    public required JsonElement Metadata { get; init; }
}

internal sealed record ResponseError(string Code, string Message);

/// <param name="Reason">Only <c>max_output_tokens</c>.</param>
internal sealed record IncompleteDetails(string Reason);

internal sealed record ResponseUsage(int InputTokens, InputTokensDetails InputTokensDetails, int OutputTokens, OutputTokensDetails OutputTokensDetails, int TotalTokens);

internal sealed record InputTokensDetails(int CachedTokens);

internal sealed record OutputTokensDetails(int ReasoningTokens);

/// <summary>A message, a call or a thought.</summary>
internal sealed record OutputItem(string Id, string Type)
{
    public string? Status { get; init; }

    public string? Role { get; init; }

    public IReadOnlyList<OutputPart>? Content { get; init; }

    public string? CallId { get; init; }

    public string? Name { get; init; }

    public string? Arguments { get; init; }

    public IReadOnlyList<OutputPart>? Summary { get; init; }
}

/// <param name="Type"><c>output_text</c> or <c>reasoning_text</c>.</param>
/// <param name="Text">The text.</param>
/// <param name="Annotations">None, of an output.</param>
/// <param name="Logprobs">The log-probabilities of an output's tokens.</param>
internal sealed record OutputPart(string Type, string Text, IReadOnlyList<string>? Annotations = null, IReadOnlyList<ChatLogprob>? Logprobs = null);

/// <summary>An event of a response that is streamed. Each type has some of the fields.</summary>
internal sealed record ResponseEvent(string Type)
{
    public int SequenceNumber { get; init; }

    public Response? Response { get; init; }

    public int? OutputIndex { get; init; }

    public OutputItem? Item { get; init; }

    public string? ItemId { get; init; }

    public int? ContentIndex { get; init; }

    public OutputPart? Part { get; init; }

    public string? Delta { get; init; }

    public string? Text { get; init; }

    public string? Name { get; init; }

    public string? Arguments { get; init; }

    public IReadOnlyList<ChatLogprob>? Logprobs { get; init; }
}
