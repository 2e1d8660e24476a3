using System.Text.Json;

namespace Server.Contracts;

/// <summary>The body of <c>POST /v1/chat/completions</c>.</summary>
internal sealed record ChatCompletionRequest : GenerationRequest
{
    public IReadOnlyList<ChatRequestMessage>? Messages { get; init; }

    public int? MaxCompletionTokens { get; init; }

    public IReadOnlyList<ChatTool>? Tools { get; init; }

    /// <summary><c>none</c>, <c>auto</c>, <c>required</c>, or an object that names a function.</summary>
    public JsonElement? ToolChoice { get; init; }

    public bool? ParallelToolCalls { get; init; }

    public ResponseFormat? ResponseFormat { get; init; }

    public bool? Logprobs { get; init; }

    public int? TopLogprobs { get; init; }

    public string? ReasoningEffort { get; init; }

    /// <summary>Further variables of the chat template.</summary>
    public IReadOnlyDictionary<string, JsonElement>? ChatTemplateKwargs { get; init; }

    /// <summary>Only text can be asked for.</summary>
    public IReadOnlyList<string>? Modalities { get; init; }

    /// <summary>Only <see langword="false"/>: nothing is stored.</summary>
    public bool? Store { get; init; }

    /// <summary>Only <c>medium</c>: nothing makes answers longer or shorter.</summary>
    public string? Verbosity { get; init; }

    // Never: what came before tools, and what is not text.

    public JsonElement? Functions { get; init; }

    public JsonElement? FunctionCall { get; init; }

    public JsonElement? Audio { get; init; }

    public JsonElement? WebSearchOptions { get; init; }

    // Passed over.

    /// <summary>What the answer will probably be, to be faster.</summary>
    public JsonElement? Prediction { get; init; }

    public string? PromptCacheRetention { get; init; }

    public JsonElement? Metadata { get; init; }

    public string? SafetyIdentifier { get; init; }

    public string? PromptCacheKey { get; init; }

    public string? ServiceTier { get; init; }
}

/// <param name="Role"><c>system</c>, <c>developer</c>, <c>user</c>, <c>assistant</c> or <c>tool</c>.</param>
/// <param name="Content">A text or a list of parts of text.</param>
/// <param name="Name">Who speaks.</param>
/// <param name="ToolCalls">Functions that the assistant has called.</param>
/// <param name="ToolCallId">Which call a tool's message answers.</param>
/// <param name="ReasoningContent">What the assistant thought.</param>
/// <param name="Refusal">What the assistant said instead.</param>
/// <param name="Annotations">Passed over: answers come back with what they came with.</param>
/// <param name="FunctionCall">Never: what came before tools.</param>
/// <param name="Audio">Never: only text is read.</param>
internal sealed record ChatRequestMessage(
    string? Role,
    JsonElement? Content = null,
    string? Name = null,
    IReadOnlyList<ChatToolCall>? ToolCalls = null,
    string? ToolCallId = null,
    string? ReasoningContent = null,
    string? Refusal = null,
    JsonElement? Annotations = null,
    JsonElement? FunctionCall = null,
    JsonElement? Audio = null);

/// <summary>A part of a message's content.</summary>
/// <param name="Type">The kind of the part.</param>
/// <param name="Text">Its text.</param>
/// <param name="Refusal">What is said instead of an answer.</param>
/// <param name="Annotations">Passed over.</param>
/// <param name="Logprobs">Passed over.</param>
internal sealed record ContentPart(string? Type, string? Text = null, string? Refusal = null, JsonElement? Annotations = null, JsonElement? Logprobs = null);

/// <param name="Type">Only <c>function</c>.</param>
/// <param name="Function">The function.</param>
internal sealed record ChatTool(string? Type, FunctionTool? Function = null);

/// <param name="Name">What it is called.</param>
/// <param name="Description">What it does.</param>
/// <param name="Parameters">The JSON schema of its arguments.</param>
/// <param name="Strict">Passed over: arguments always match the schema.</param>
internal sealed record FunctionTool(string? Name, string? Description = null, JsonElement? Parameters = null, bool? Strict = null);

/// <param name="Type"><c>function</c> or <c>allowed_tools</c>.</param>
/// <param name="Function">The function that must be called.</param>
/// <param name="AllowedTools">The functions that may be called.</param>
internal sealed record ChatToolChoice(string? Type, FunctionName? Function = null, ChatAllowedTools? AllowedTools = null);

/// <param name="Mode"><c>auto</c> or <c>required</c>.</param>
/// <param name="Tools">Some of the request's tools; only their names matter.</param>
internal sealed record ChatAllowedTools(string? Mode, IReadOnlyList<ChatTool?>? Tools = null);

/// <param name="Name">The name of a function.</param>
internal sealed record FunctionName(string? Name);

/// <param name="Type"><c>text</c>, <c>json_object</c> or <c>json_schema</c>.</param>
/// <param name="JsonSchema">The schema.</param>
internal sealed record ResponseFormat(string? Type, JsonSchemaFormat? JsonSchema = null);

/// <param name="Name">What it describes.</param>
/// <param name="Schema">The schema.</param>
/// <param name="Description">What it is for.</param>
/// <param name="Strict">Passed over: answers always match the schema.</param>
internal sealed record JsonSchemaFormat(string? Name, JsonElement? Schema = null, string? Description = null, bool? Strict = null);
