using System.Text.Json;
using Decart.Inference;
using Microsoft.Extensions.AI;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>Reads requests for responses.</summary>
internal static class ResponseReader
{
    private const string LogprobsIncluded = "message.output_text.logprobs", SchemaField = "text.format.schema";

    /// <exception cref="ApiException">Something in the request cannot be understood or honoured.</exception>
    public static ChatCall Read(ResponseRequest request, ServedModel model, ServerOptions options)
    {
        RequireSupported(request);
        List<AITool> tools = ToolReader.Tools([.. (request.Tools ?? []).Select(Function)], index => $"tools[{index}]", options);
        ResponseTextFormat? format = request.Text?.Format;
        JsonSchemaFormat? schema = format?.Schema is null ? null : new JsonSchemaFormat(format.Name, format.Schema, format.Description, format.Strict);
        ChatOptions chat = new()
        {
            Instructions = request.Instructions,
            Tools = tools,
            AllowMultipleToolCalls = request.ParallelToolCalls,
            ResponseFormat = format is null ? null : ToolReader.Format(format.Type, schema, "text.format.type", SchemaField),
            Reasoning = ToolReader.Reasoning(request.Reasoning?.Effort, "reasoning.effort"),
        };
        ToolReader.Choose(chat, request.ToolChoice, choice => JsonBody.ParseField(choice, "tool_choice", ServerJson.Default.ResponseToolChoice) switch
        {
            { Type: "function", Name: { } name, Mode: null, Tools: null } => new ToolSelection([name]),
            { Type: "allowed_tools", Mode: { } mode, Tools: { } allowed, Name: null } => new ToolSelection([.. allowed.Select(tool => tool?.Type is "function" ? tool.Name : null)], mode),
            _ => null,
        });
        GenerationOptions generation = new()
        {
            MaxTokens = GenerationReader.MaxTokens(request.MaxOutputTokens, "max_output_tokens", model.MostTokens, model),
            Temperature = request.Temperature,
            TopP = request.TopP,
            TopLogprobs = request.TopLogprobs ?? (request.Include?.Contains(LogprobsIncluded) is true ? 0 : null),
        };
        return new ChatCall(Messages(request.Input, options), chat, generation);
    }

    /// <summary>The error with the field whose schema it is about.</summary>
    public static Exception Locate(GrammarException error, ResponseRequest request) => ToolReader.Locate(
        error,
        [
            .. (request.Tools ?? []).Select((tool, index) => ($"tools[{index}].parameters", tool.Parameters)),
            (SchemaField, request.Text?.Format?.Schema),
        ]);

    private static void RequireSupported(ResponseRequest request)
    {
        Refuse(request.Store is true, "store", "Nothing is stored: \"store\" can only be false.");
        Refuse(request.PreviousResponseId is not null, "previous_response_id", "Nothing is stored: send the items of the conversation as \"input\".");
        Refuse(request.Background is true, "background", "Responses are not computed in the background.");
        Refuse(request.Truncation is not (null or "disabled"), "truncation", "Conversations are not cut: \"truncation\" can only be disabled.");
        Refuse(request.Reasoning?.Summary is not null, "reasoning.summary", "What the model thinks is given whole, not summarised.");
        Refuse(request.Include?.Any(item => item != LogprobsIncluded) is true, "include", $"Only \"{LogprobsIncluded}\" can be included.");
        Refuse(request.TopLogprobs is not (null or (>= 0 and <= 20)), "top_logprobs", "\"top_logprobs\" must be 0 to 20.");
        Refuse(request.StreamOptions is not null && request.Stream is not true, "stream_options", "\"stream_options\" are for answers that are streamed.");
        Refuse(request.StreamOptions?.IncludeUsage is not null, "stream_options.include_usage", "The last event of a response always says what it cost.");
    }

    private static void Refuse(bool isRefused, string field, string reason)
    {
        if (isRefused) throw new ApiException(reason, field, "unsupported");
    }

    private static FunctionTool? Function(ResponseTool? tool, int index) => tool?.Type is "function"
        ? new FunctionTool(tool.Name, tool.Description, tool.Parameters, tool.Strict)
        : throw new ApiException($"\"tools[{index}].type\" must be function.", $"tools[{index}].type", "unsupported");

    private static List<ChatMessage> Messages(JsonElement? input, ServerOptions options)
    {
        if (input is { ValueKind: JsonValueKind.String } text) return [new ChatMessage(ChatRole.User, text.GetString())];
        if (input is not { ValueKind: JsonValueKind.Array } items || items.GetArrayLength() == 0) throw new ApiException("\"input\" must be a text or a list of at least one item.", "input");
        if (items.GetArrayLength() > options.MaxMessages) throw new ApiException($"{items.GetArrayLength()} items are more than the {options.MaxMessages} of one request.", "input");
        List<ChatMessage> messages = [];
        int index = 0;
        foreach (JsonElement element in items.EnumerateArray())
        {
            string field = $"input[{index++}]";
            if (element.ValueKind != JsonValueKind.Object) throw new ApiException($"\"{field}\" must be an object.", field);
            Add(messages, Item(JsonBody.ParseField(element, field, ServerJson.Default.ResponseInputItem), field));
        }
        return messages;
    }

    /// <summary>What an assistant thinks, says and calls in one turn is one message.</summary>
    private static void Add(List<ChatMessage> messages, ChatMessage message)
    {
        if (message.Role == ChatRole.Assistant && messages is [.., { } last] && last.Role == ChatRole.Assistant) last.Contents = [.. last.Contents, .. message.Contents];
        else messages.Add(message);
    }

    private static ChatMessage Item(ResponseInputItem item, string field) => item.Type switch
    {
        null or "message" => Message(item, field),
        "function_call" => new ChatMessage(ChatRole.Assistant, [MessageReader.Call(item.CallId, new FunctionCall(item.Name, item.Arguments), field)]),
        "function_call_output" when string.IsNullOrEmpty(item.CallId) => throw new ApiException($"\"{field}\" does not say which call it answers.", $"{field}.call_id"),
        "function_call_output" => new ChatMessage(ChatRole.Tool, [new FunctionResultContent(item.CallId, string.Concat(MessageReader.Texts(item.Output, $"{field}.output", "input_text")))]),
        "reasoning" => new ChatMessage(ChatRole.Assistant, [new TextReasoningContent(string.Concat(MessageReader.Texts(item.Content, $"{field}.content", "reasoning_text")))]),
        { } type => throw new ApiException($"\"{field}.type\" is {type}; message, function_call, function_call_output and reasoning are known.", $"{field}.type", "unsupported"),
    };

    private static ChatMessage Message(ResponseInputItem item, string field)
    {
        ChatRole role = item.Role switch
        {
            "system" or "developer" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            _ => throw new ApiException($"\"{field}.role\" must be system, developer, user or assistant.", $"{field}.role"),
        };
        List<AIContent> contents = role == ChatRole.Assistant
            ? MessageReader.Texts(item.Content, $"{field}.content", "output_text", "input_text", "refusal")
            : MessageReader.Texts(item.Content, $"{field}.content", "input_text");
        return contents.Count > 0 ? new ChatMessage(role, contents) : throw new ApiException($"\"{field}\" has no content.", $"{field}.content");
    }
}
