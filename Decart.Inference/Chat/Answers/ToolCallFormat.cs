using System.Security.Cryptography;
using System.Text.Encodings.Web;
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

    /// <summary>Texts that begin a call once something has been said, with what separates the two. None where a call is all of an answer.</summary>
    public virtual IReadOnlyList<string> OpeningsAfterText => Openings;

    /// <summary>The text that ends a call; null where calls last until the answer ends.</summary>
    public virtual string? Closing => null;

    /// <summary>What a model says that calls nothing.</summary>
    public abstract Grammar Text { get; }

    /// <summary>A call of one function, whose arguments match its schema.</summary>
    public abstract Grammar Call(AIFunctionDeclaration function);

    /// <summary>One or more calls.</summary>
    /// <param name="call">A call of any of the functions.</param>
    /// <param name="most">How many at most; null for any number.</param>
    public abstract Grammar Calls(Grammar call, int? most);

    /// <summary>An answer that says something, or calls functions, or both.</summary>
    public virtual Grammar Answer(Grammar calls) => Grammar.Sequence(Text, Grammar.Repeat(calls, 0, 1));

    /// <summary>Whether an answer that begins with this character may be a call.</summary>
    public virtual bool MayBegin(char first) => false;

    /// <summary>Reads calls from what stands after an opening.</summary>
    /// <returns>The calls, or null if the text is none.</returns>
    public abstract List<FunctionCallContent>? Read(string text);

    /// <summary>The format that a template writes calls in; null if none is recognised.</summary>
    /// <param name="template">The template.</param>
    /// <param name="functions">The functions that are offered.</param>
    public static ToolCallFormat? Find(ChatTemplate template, IEnumerable<AIFunctionDeclaration> functions) =>
        template.Contains("[TOOL_CALLS]") ? template.Contains("[ARGS]") ? MistralCalls.Named : MistralCalls.Listed
        : QwenCoderCalls.IsFormatOf(template) ? new QwenCoderCalls(functions)
        : template.Contains("<tool_call>") ? HermesCalls.Instance
        : template.Contains("<|python_tag|>") || (template.Contains("<|start_header_id|>") && template.SupportsTools) ? LlamaCalls.Instance
        : null;

    /// <summary>A JSON object that names a function and its arguments.</summary>
    /// <param name="function">The function.</param>
    /// <param name="arguments">What the format calls the arguments.</param>
    protected static Grammar Object(AIFunctionDeclaration function, string arguments) => Grammar.Sequence(
        Grammar.Choice($"{{\"name\": \"{JsonEncodedText.Encode(function.Name, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\", \"{arguments}\": "), Arguments(function), Grammar.Choice("}"));

    /// <summary>The arguments of a function: an object that matches its schema, whether that says that it is one or not.</summary>
    protected static Grammar Arguments(AIFunctionDeclaration function) => function.JsonSchema switch
    {
        { ValueKind: JsonValueKind.Object } schema when schema.EnumerateObject().Any() => IsOfObjects(schema) ? Grammar.JsonSchema(schema) : Grammar.JsonObject(schema),
        { ValueKind: JsonValueKind.False } never => Grammar.JsonSchema(never),
        _ => Grammar.JsonObject(),
    };

    private static bool IsOfObjects(JsonElement schema) => schema.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("object");

    /// <summary>A grammar once, and again after a separator.</summary>
    protected static Grammar List(Grammar item, string separator, int? most) =>
        most == 1 ? item : Grammar.Sequence(item, Grammar.Repeat(Grammar.Sequence(Grammar.Choice(separator), item), 0, most - 1));

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
        return Create(name, values, id);
    }

    protected static FunctionCallContent Create(string name, Dictionary<string, object?> arguments, string? id = null) =>
        new(id ?? RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", IdLength), name, arguments);
}
