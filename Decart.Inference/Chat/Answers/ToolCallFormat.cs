using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>How a model writes the functions that it calls.</summary>
internal abstract class ToolCallFormat
{
    /// <summary>Templates of some models refuse ids of another length.</summary>
    private const int IdLength = 9;

    /// <summary>Texts that begin a call. The first character of an answer may do so too: <see cref="MayBegin"/>.</summary>
    public abstract IReadOnlyList<string> Openings { get; }

    /// <summary>The text that ends a call; null where calls last until the answer ends.</summary>
    public virtual string? Closing => null;

    /// <summary>Begins a call for the model, which then has to go on with it.</summary>
    /// <param name="function">The function, or null where the model chooses.</param>
    public abstract string Begin(string? function);

    /// <summary>Whether an answer that begins with this character may be a call.</summary>
    public virtual bool MayBegin(char first) => false;

    /// <summary>Reads calls from what stands after an opening.</summary>
    /// <returns>The calls, or null if the text is none.</returns>
    public abstract List<FunctionCallContent>? Read(string text);

    /// <summary>The format that a template writes calls in; null if none is recognised.</summary>
    public static ToolCallFormat? Find(ChatTemplate template) =>
        template.Contains("[TOOL_CALLS]") ? MistralCalls.Instance
        : template.Contains("<tool_call>") ? HermesCalls.Instance
        : template.Contains("<|python_tag|>") || (template.Contains("<|start_header_id|>") && template.SupportsTools) ? LlamaCalls.Instance
        : null;

    /// <summary>A text as a string of JSON without the quotation marks.</summary>
    protected static string Escaped(string text) => JsonEncodedText.Encode(text, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString();

    /// <summary>The call that a JSON object describes; null if it is none.</summary>
    protected static FunctionCallContent? ReadCall(JsonElement call)
    {
        if (call.ValueKind != JsonValueKind.Object || !call.TryGetProperty("name", out JsonElement name) || name.ValueKind != JsonValueKind.String) return null;
        JsonElement arguments = call.TryGetProperty("arguments", out JsonElement given) || call.TryGetProperty("parameters", out given) ? given : default;
        string? id = call.TryGetProperty("id", out JsonElement own) && own.ValueKind == JsonValueKind.String ? own.GetString() : null;
        return Create(name.GetString()!, arguments, id);
    }

    /// <summary>A call with its arguments, an object of JSON or a text that holds one; null if they are neither.</summary>
    protected static FunctionCallContent? Create(string name, JsonElement arguments, string? id = null)
    {
        if (arguments.ValueKind == JsonValueKind.String && JsonText.TryParse(arguments.GetString()!, out JsonElement inner)) arguments = inner;
        Dictionary<string, object?> values = [];
        if (arguments.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty argument in arguments.EnumerateObject()) values[argument.Name] = argument.Value.ValueKind == JsonValueKind.Null ? null : argument.Value.Clone();
        }
        else if (arguments.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null))
        {
            return null;
        }
        return new FunctionCallContent(id ?? RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", IdLength), name, values);
    }
}
