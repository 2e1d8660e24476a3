using System.Text.Json;
using Microsoft.Extensions.AI;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>Reads the messages of a chat.</summary>
internal static class MessageReader
{
    /// <exception cref="ApiException">A message is malformed, or holds what the model cannot read.</exception>
    public static List<ChatMessage> Read(IReadOnlyList<ChatRequestMessage>? messages, ServerOptions options)
    {
        if (messages is not { Count: > 0 }) throw new ApiException("\"messages\" must be a list of at least one message.", "messages");
        if (messages.Count > options.MaxMessages) throw new ApiException($"{messages.Count} messages are more than the {options.MaxMessages} of one request.", "messages");
        return [.. messages.Select((message, index) => Read(message, $"messages[{index}]"))];
    }

    /// <summary>The texts of a content: one text, or a list of parts.</summary>
    /// <param name="content">The content.</param>
    /// <param name="field">Where it stands.</param>
    /// <param name="kinds">The kinds of parts that are texts.</param>
    public static List<AIContent> Texts(JsonElement? content, string field, params ReadOnlySpan<string> kinds)
    {
        switch (content)
        {
            case null or { ValueKind: JsonValueKind.Null }: return [];
            case { ValueKind: JsonValueKind.String } text: return [new TextContent(text.GetString())];
            case { ValueKind: JsonValueKind.Array } list: break;
            default: throw new ApiException($"\"{field}\" must be a text or a list of parts.", field);
        }
        List<AIContent> texts = [];
        foreach (JsonElement item in content.Value.EnumerateArray())
        {
            string partField = $"{field}[{texts.Count}]";
            string? kind = item.ValueKind == JsonValueKind.Object && item.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String ? type.GetString() : null;
            if (kind is null || !kinds.Contains(kind)) throw new ApiException($"The model reads text only; \"{partField}.type\" is {kind ?? "missing"}.", $"{partField}.type", "unsupported");
            ContentPart part = JsonBody.ParseField(item, partField, ServerJson.Default.ContentPart);
            texts.Add(new TextContent((kind == "refusal" ? part.Refusal : part.Text) ?? throw new ApiException($"\"{partField}\" has no text.", partField)));
        }
        return texts;
    }

    /// <summary>A function that the assistant has called.</summary>
    public static FunctionCallContent Call(string? id, FunctionCall? function, string field)
    {
        if (string.IsNullOrEmpty(id)) throw new ApiException($"\"{field}\" has no id.", field);
        if (string.IsNullOrEmpty(function?.Name)) throw new ApiException($"\"{field}\" names no function.", field);
        Dictionary<string, object?> arguments = [];
        if (function.Arguments is { Length: > 0 } json)
        {
            JsonElement values = JsonBody.ParseText(json, $"{field}.arguments");
            if (values.ValueKind != JsonValueKind.Object) throw new ApiException($"\"{field}.arguments\" must be a JSON object.", $"{field}.arguments");
            foreach (JsonProperty value in values.EnumerateObject()) arguments[value.Name] = value.Value;
        }
        return new FunctionCallContent(id, function.Name, arguments);
    }

    private static ChatMessage Read(ChatRequestMessage? message, string field)
    {
        if (message is null) throw new ApiException($"\"{field}\" is null.", field);
        ChatRole role = message.Role switch
        {
            "system" or "developer" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            "tool" => ChatRole.Tool,
            _ => throw new ApiException($"\"{field}.role\" must be system, developer, user, assistant or tool.", $"{field}.role"),
        };
        JsonBody.RequireNull(message.FunctionCall, $"{field}.function_call", "use \"tool_calls\"");
        JsonBody.RequireNull(message.Audio, $"{field}.audio", "only text is read");
        RequireOnly(role == ChatRole.Assistant, message.ToolCalls ?? (object?)message.ReasoningContent ?? message.Refusal, field, "assistant");
        RequireOnly(role == ChatRole.Tool, message.ToolCallId, field, "tool");
        List<AIContent> contents = role == ChatRole.Assistant ? Texts(message.Content, $"{field}.content", "text", "refusal") : Texts(message.Content, $"{field}.content", "text");
        if (role == ChatRole.Tool)
        {
            if (string.IsNullOrEmpty(message.ToolCallId)) throw new ApiException($"\"{field}\" does not say which call it answers.", $"{field}.tool_call_id");
            contents = [new FunctionResultContent(message.ToolCallId, string.Concat(contents))];
        }
        if (message.ReasoningContent is { Length: > 0 } thought) contents.Insert(0, new TextReasoningContent(thought));
        if (message.Refusal is { } refusal) contents.Add(new TextContent(refusal));
        contents.AddRange((message.ToolCalls ?? []).Select((call, index) => ReadCall(call, $"{field}.tool_calls[{index}]")));
        if (contents.Count == 0) throw new ApiException($"\"{field}\" has no content.", $"{field}.content");
        return new ChatMessage(role, contents) { AuthorName = message.Name };
    }

    private static FunctionCallContent ReadCall(ChatToolCall? call, string field)
    {
        if (call?.Type is not (null or "function")) throw new ApiException($"\"{field}.type\" must be function.", $"{field}.type", "unsupported");
        return Call(call?.Id, call?.Function, field);
    }

    private static void RequireOnly(bool isRole, object? value, string field, string role)
    {
        if (!isRole && value is not null) throw new ApiException($"\"{field}\" has fields that only messages of the role {role} have.", field);
    }
}
