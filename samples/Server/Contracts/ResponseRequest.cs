using System.Text.Json;

namespace Server.Contracts;

/// <summary>The body of <c>POST /v1/responses</c>.</summary>
internal sealed record ResponseRequest : IModelRequest
{
    public string? Model { get; init; }

    /// <summary>A text or a list of items.</summary>
    public JsonElement? Input { get; init; }

    public string? Instructions { get; init; }

    public int? MaxOutputTokens { get; init; }

    public float? Temperature { get; init; }

    public float? TopP { get; init; }

    public int? TopLogprobs { get; init; }

    public bool? Stream { get; init; }

    public StreamOptions? StreamOptions { get; init; }

    public IReadOnlyList<ResponseTool>? Tools { get; init; }

    /// <summary><c>none</c>, <c>auto</c>, <c>required</c>, or an object that names a function.</summary>
    public JsonElement? ToolChoice { get; init; }

    public bool? ParallelToolCalls { get; init; }

    public ResponseText? Text { get; init; }

    public ResponseReasoning? Reasoning { get; init; }

    /// <summary>Only log-probabilities can be included.</summary>
    public IReadOnlyList<string>? Include { get; init; }

    /// <summary>Only <see langword="false"/>: nothing is stored.</summary>
    public bool? Store { get; init; }

    /// <summary>Only <see langword="false"/>.</summary>
    public bool? Background { get; init; }

    /// <summary>Only <c>disabled</c>: conversations are not cut.</summary>
    public string? Truncation { get; init; }

    /// <summary>Never: nothing is stored.</summary>
    public string? PreviousResponseId { get; init; }

    /// <summary>Given back as it is.</summary>
    public JsonElement? Metadata { get; init; }

    // Passed over.

    public string? User { get; init; }

    public string? SafetyIdentifier { get; init; }

    public string? PromptCacheKey { get; init; }

    public string? PromptCacheRetention { get; init; }

    public string? ServiceTier { get; init; }
}

/// <param name="Type">Only <c>function</c>.</param>
/// <param name="Name">What it is called.</param>
/// <param name="Description">What it does.</param>
/// <param name="Parameters">The JSON schema of its arguments.</param>
/// <param name="Strict">Passed over: arguments always match the schema.</param>
internal sealed record ResponseTool(string? Type, string? Name = null, string? Description = null, JsonElement? Parameters = null, bool? Strict = null);

/// <param name="Type"><c>function</c> or <c>allowed_tools</c>.</param>
/// <param name="Name">The function that must be called.</param>
/// <param name="Mode"><c>auto</c> or <c>required</c>, of functions that may be called.</param>
/// <param name="Tools">These functions, some of the request's; only their names matter.</param>
internal sealed record ResponseToolChoice(string? Type, string? Name = null, string? Mode = null, IReadOnlyList<ResponseTool?>? Tools = null);

/// <param name="Format">What the text must look like.</param>
internal sealed record ResponseText(ResponseTextFormat? Format = null);

/// <param name="Type"><c>text</c>, <c>json_object</c> or <c>json_schema</c>.</param>
/// <param name="Name">What the schema describes.</param>
/// <param name="Schema">The schema.</param>
/// <param name="Description">What it is for.</param>
/// <param name="Strict">Passed over: answers always match the schema.</param>
internal sealed record ResponseTextFormat(string? Type, string? Name = null, JsonElement? Schema = null, string? Description = null, bool? Strict = null);

/// <param name="Effort">How much the model thinks.</param>
/// <param name="Summary">Never: thoughts are given whole.</param>
internal sealed record ResponseReasoning(string? Effort = null, string? Summary = null);

/// <summary>An item of the input: a message, a call, its result or a thought.</summary>
internal sealed record ResponseInputItem
{
    public string? Type { get; init; }

    public string? Role { get; init; }

    public JsonElement? Content { get; init; }

    public string? CallId { get; init; }

    public string? Name { get; init; }

    public string? Arguments { get; init; }

    public JsonElement? Output { get; init; }

    // Passed over: items come back with what they came with.

    public string? Id { get; init; }

    public string? Status { get; init; }

    public JsonElement? Summary { get; init; }

    public string? EncryptedContent { get; init; }
}
