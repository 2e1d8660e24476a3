using System.Text.Json;
using System.Text.RegularExpressions;
using Decart.Inference;
using Microsoft.Extensions.AI;
using Server.Contracts;
using Server.Http;

namespace Server.Endpoints;

/// <summary>The functions that a request's choice of tools names.</summary>
/// <param name="Names">Their names.</param>
/// <param name="Mode">Whether one of them may (<c>auto</c>) or must be called (<c>required</c>); null where the first must be.</param>
internal sealed record ToolSelection(IReadOnlyList<string?> Names, string? Mode = null);

/// <summary>Reads which functions a model may call and what its answer must look like.</summary>
internal static partial class ToolReader
{
    /// <summary>The functions that are offered.</summary>
    public static List<AITool> Tools(IReadOnlyList<FunctionTool?> tools, Func<int, string> field, ServerOptions options)
    {
        if (tools.Count > options.MaxTools) throw new ApiException($"{tools.Count} tools are more than the {options.MaxTools} of one request.", "tools");
        List<AITool> functions = [];
        HashSet<string> names = [];
        foreach (FunctionTool? tool in tools)
        {
            string at = field(functions.Count);
            if (tool?.Name is not { } name || !FunctionNames().IsMatch(name)) throw new ApiException($"\"{at}.name\" must be 1 to 64 letters, digits, underscores and hyphens.", $"{at}.name");
            if (!names.Add(name)) throw new ApiException($"Two tools are called \"{name}\".", $"{at}.name");
            if (tool.Parameters is { ValueKind: not (JsonValueKind.Object or JsonValueKind.Null) }) throw new ApiException($"\"{at}.parameters\" must be a JSON schema.", $"{at}.parameters");
            JsonElement schema = tool.Parameters is { ValueKind: JsonValueKind.Object } given ? given : JsonElement.Parse("{}");
            functions.Add(AIFunctionFactory.CreateDeclaration(name, tool.Description, schema));
        }
        return functions;
    }

    /// <summary>Whether functions may or must be called, and which.</summary>
    /// <param name="options">Its tools are those that are offered; what may be called of them is left.</param>
    /// <param name="choice"><c>none</c>, <c>auto</c>, <c>required</c>, or an object.</param>
    /// <param name="read">What an object asks for; null for an object of another form.</param>
    public static void Choose(ChatOptions options, JsonElement? choice, Func<JsonElement, ToolSelection?> read)
    {
        IList<AITool> tools = options.Tools ?? [];
        if (choice is not { ValueKind: JsonValueKind.Object } given)
        {
            options.ToolMode = Mode(choice, tools.Count);
            return;
        }
        if (tools.Count == 0) throw NoTools();
        if (read(given) is not { } selection || selection.Mode is not (null or "auto" or "required") || selection.Names.Any(name => name is null))
            throw new ApiException(Choices, "tool_choice", "unsupported");
        if (selection.Names.Count == 0) throw new ApiException("\"tool_choice\" allows no function: at least one was expected; \"none\" is for no call.", "tool_choice");
        if (selection.Names.FirstOrDefault(name => tools.All(tool => tool.Name != name)) is { } other) throw new ApiException($"\"tool_choice\" names \"{other}\", which is none of the tools.", "tool_choice");
        if (selection.Mode is not null) options.Tools = [.. tools.Where(tool => selection.Names.Contains(tool.Name))];
        options.ToolMode = selection.Mode switch
        {
            null => ChatToolMode.RequireSpecific(selection.Names[0]!),
            "required" => ChatToolMode.RequireAny,
            _ => ChatToolMode.Auto,
        };
    }

    private const string Choices = "\"tool_choice\" must be none, auto, required, name a function, or list allowed_tools with a mode of auto or required.";

    private static ApiException NoTools() => new("\"tool_choice\" asks for a call, and there are no tools.", "tool_choice");

    private static ChatToolMode? Mode(JsonElement? choice, int tools)
    {
        string? mode = choice switch
        {
            null or { ValueKind: JsonValueKind.Null } => "auto",
            { ValueKind: JsonValueKind.String } text => text.GetString(),
            _ => null,
        };
        if (mode is "none") return ChatToolMode.None;
        if (mode is "auto") return tools > 0 ? ChatToolMode.Auto : null;
        if (tools == 0) throw NoTools();
        return mode is "required" ? ChatToolMode.RequireAny : throw new ApiException(Choices, "tool_choice", "unsupported");
    }

    /// <summary>What the answer must look like.</summary>
    /// <param name="type"><c>text</c>, <c>json_object</c> or <c>json_schema</c>.</param>
    /// <param name="format">The schema, if there is one.</param>
    /// <param name="field">Where the type stands.</param>
    /// <param name="schemaField">Where the schema stands.</param>
    public static ChatResponseFormat? Format(string? type, JsonSchemaFormat? format, string field, string schemaField)
    {
        if (type != "json_schema" && format is not null) throw new ApiException("A schema belongs to the type json_schema.", schemaField);
        return type switch
        {
            "text" => null,
            "json_object" => ChatResponseFormat.Json,
            "json_schema" when format?.Schema is { ValueKind: JsonValueKind.Object } schema => ChatResponseFormat.ForJsonSchema(schema, format.Name, format.Description),
            "json_schema" => throw new ApiException($"\"{schemaField}\" must be a JSON schema.", schemaField),
            _ => throw new ApiException($"\"{field}\" must be text, json_object or json_schema.", field),
        };
    }

    public static ReasoningOptions? Reasoning(string? effort, string field) => effort switch
    {
        null => null,
        "none" => new ReasoningOptions { Effort = ReasoningEffort.None },
        "minimal" or "low" => new ReasoningOptions { Effort = ReasoningEffort.Low },
        "medium" => new ReasoningOptions { Effort = ReasoningEffort.Medium },
        "high" => new ReasoningOptions { Effort = ReasoningEffort.High },
        "xhigh" => new ReasoningOptions { Effort = ReasoningEffort.ExtraHigh },
        _ => throw new ApiException($"\"{field}\" must be none, minimal, low, medium, high or xhigh.", field),
    };

    /// <summary>The field whose schema is the one that cannot be honoured, as its own error; the error as it is if it is none of them.</summary>
    public static Exception Locate(GrammarException error, IEnumerable<(string Field, JsonElement? Schema)> schemas)
    {
        foreach ((string field, JsonElement? schema) in schemas)
        {
            if (schema is not { ValueKind: JsonValueKind.Object } given) continue;
            try
            {
                _ = Grammar.JsonSchema(given);
            }
            catch (GrammarException reason)
            {
                return new ApiException(reason.Message, field, "unsupported_schema");
            }
        }
        return error;
    }

    [GeneratedRegex("^[A-Za-z0-9_-]{1,64}\\z")]
    private static partial Regex FunctionNames();
}
