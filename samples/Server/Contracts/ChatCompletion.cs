using System.Text.Json.Serialization;

namespace Server.Contracts;

/// <summary>The answer of <c>POST /v1/chat/completions</c>.</summary>
internal sealed record ChatCompletion(string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices, CompletionUsage? Usage);

internal sealed record ChatChoice(
    int Index,
    ChatAnswerMessage Message,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] ChatLogprobs? Logprobs,
    string FinishReason);

internal sealed record ChatAnswerMessage(
    string Role,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Content,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Refusal,
    string? ReasoningContent,
    IReadOnlyList<ChatToolCall>? ToolCalls);

/// <summary>A piece of an answer that is streamed.</summary>
internal sealed record ChatCompletionChunk(string Id, string Object, long Created, string Model, IReadOnlyList<ChatChunkChoice> Choices)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public StreamUsage Usage { get; init; }
}

internal sealed record ChatChunkChoice(
    int Index,
    ChatDelta Delta,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] ChatLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason);

/// <summary>What a piece adds to an answer.</summary>
internal sealed record ChatDelta(string? Role = null, string? Content = null, string? ReasoningContent = null, IReadOnlyList<ChatToolCall>? ToolCalls = null);

/// <param name="Id">What the function's result names.</param>
/// <param name="Type">Only <c>function</c>.</param>
/// <param name="Function">The function and its arguments.</param>
/// <param name="Index">In a stream, which call of the answer it is.</param>
internal sealed record ChatToolCall(string? Id, string? Type, FunctionCall? Function, int? Index = null);

/// <param name="Name">The function.</param>
/// <param name="Arguments">Its arguments, as JSON.</param>
internal sealed record FunctionCall(string? Name, string? Arguments);

internal sealed record ChatLogprobs(IReadOnlyList<ChatLogprob> Content, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Refusal = null);

/// <summary>The log-probability of a token, with the bytes that it adds to the text.</summary>
internal sealed record ChatLogprob(string Token, float Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatLogprob>? TopLogprobs);

internal sealed record CompletionUsage(
    int PromptTokens, int CompletionTokens, int TotalTokens, PromptTokensDetails PromptTokensDetails, CompletionTokensDetails CompletionTokensDetails);

internal sealed record PromptTokensDetails(int CachedTokens);

internal sealed record CompletionTokensDetails(int ReasoningTokens);
