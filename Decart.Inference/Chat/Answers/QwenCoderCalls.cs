using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>
/// The format of Qwen3-Coder: within <c>&lt;tool_call&gt;</c> tags the function as a tag, and in it a tag for each parameter. Texts stand there as they are, other values as JSON.
/// What a value is can be told by the function's schema only.
/// </summary>
internal sealed class QwenCoderCalls : ToolCallFormat
{
    private const string Opening = "<tool_call>", Separator = "\n", FunctionOpening = "<function=", FunctionClosing = "</function>", ParameterOpening = "<parameter=",
        ParameterClosing = "</parameter>";

    /// <summary>What may be said of a parameter that any text is right for.</summary>
    private static readonly HashSet<string> Notes = ["type", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"];

    private readonly Dictionary<string, JsonElement> _schemas = new(StringComparer.Ordinal);

    /// <param name="functions">The functions that are offered.</param>
    public QwenCoderCalls(IEnumerable<AIFunctionDeclaration> functions)
    {
        foreach (AIFunctionDeclaration function in functions) _schemas.TryAdd(function.Name, function.JsonSchema);
    }

    public override IReadOnlyList<string> Openings { get; } = [Opening];

    public override IReadOnlyList<string> OpeningsAfterText { get; } = [Separator + Opening, Opening];

    public override string Closing => "</tool_call>";

    /// <summary>Models forget the outer tag.</summary>
    public override Grammar Text { get; } = Grammar.TextWithout(Opening, FunctionOpening);

    /// <summary>Whether a template writes calls so.</summary>
    public static bool IsFormatOf(ChatTemplate template) => template.Contains(FunctionOpening) && template.Contains(ParameterOpening);

    /// <summary>Parameters stand in the order of the schema.</summary>
    /// <inheritdoc/>
    public override Grammar Call(AIFunctionDeclaration function)
    {
        List<Grammar> parts = [Grammar.Literal(Opening), Grammar.Choice($"\n{FunctionOpening}{function.Name}>\n")];
        HashSet<string?> required = [.. Members(function.JsonSchema, "required", JsonValueKind.Array).Select(name => name.Value.GetString())];
        foreach ((string name, JsonElement schema) in Members(function.JsonSchema, "properties", JsonValueKind.Object))
        {
            Grammar parameter = Grammar.Sequence(Grammar.Choice($"{ParameterOpening}{name}>\n"), Value(function.JsonSchema, schema));
            parts.Add(required.Contains(name) ? parameter : Grammar.Repeat(parameter, 0, 1));
        }
        return Grammar.Sequence([.. parts, Grammar.Choice($"{FunctionClosing}\n"), Grammar.Literal(Closing)]);
    }

    public override Grammar Calls(Grammar call, int? most) => List(call, Separator, most);

    public override List<FunctionCallContent>? Read(string text)
    {
        text = text.Trim();
        int nameEnd = text.IndexOf('>', StringComparison.Ordinal);
        if (!text.StartsWith(FunctionOpening, StringComparison.Ordinal) || nameEnd < 0) return null;
        string function = text[FunctionOpening.Length..nameEnd].Trim();
        JsonElement schema = _schemas.GetValueOrDefault(function);
        Dictionary<string, object?> arguments = [];
        int position = nameEnd + 1;
        while (text.IndexOf(ParameterOpening, position, StringComparison.Ordinal) is >= 0 and var start)
        {
            nameEnd = text.IndexOf('>', start);
            if (nameEnd < 0) return null;
            string name = text[(start + ParameterOpening.Length)..nameEnd].Trim();
            // Models forget closing tags.
            int end = new[] { ParameterClosing, ParameterOpening, FunctionClosing }.Select(tag => text.IndexOf(tag, nameEnd, StringComparison.Ordinal)).Where(index => index >= 0).DefaultIfEmpty(text.Length).Min();
            arguments[name] = ReadValue(WithoutOuterLines(text[(nameEnd + 1)..end]), SchemaOf(schema, name));
            position = end;
        }
        return [Create(function, arguments)];
    }

    /// <summary>What a value's tag holds, to its end.</summary>
    private static Grammar Value(JsonElement function, JsonElement schema)
    {
        const string End = $"\n{ParameterClosing}\n";
        if (IsPlainText(schema)) return Grammar.TextUntil(End);
        return Grammar.Sequence(TextsOf(schema) is { } texts ? Grammar.Choice(texts) : Grammar.JsonSchema(WithDefinitions(function, schema)), Grammar.Choice(End));
    }

    /// <summary>Whether any text is right.</summary>
    private static bool IsPlainText(JsonElement schema) => IsText(schema) && schema.EnumerateObject().All(member => Notes.Contains(member.Name));

    private static bool IsText(JsonElement schema) => schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("type", out JsonElement type) && type.ValueEquals("string");

    /// <summary>The texts that a value is one of; null where it is none of a list of texts.</summary>
    private static string[]? TextsOf(JsonElement schema)
    {
        bool isList = IsText(schema) && schema.EnumerateObject().All(member => Notes.Contains(member.Name) || member.Name == "enum");
        if (!isList || !schema.TryGetProperty("enum", out JsonElement values) || values.ValueKind != JsonValueKind.Array) return null;
        string[] texts = [.. values.EnumerateArray().Where(value => value.ValueKind == JsonValueKind.String).Select(value => value.GetString()!)];
        return texts.Length > 0 && texts.Length == values.GetArrayLength() && !Array.Exists(texts, text => text.Contains('<', StringComparison.Ordinal)) ? texts : null;
    }

    /// <summary>A parameter's schema by itself, with what its references mean.</summary>
    private static JsonElement WithDefinitions(JsonElement function, JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object) return schema;
        JsonObject whole = JsonObject.Create(schema)!;
        foreach (string name in (string[])["$defs", "definitions"])
        {
            if (function.TryGetProperty(name, out JsonElement definitions)) whole.TryAdd(name, JsonNode.Parse(definitions.GetRawText()));
        }
        return JsonElement.Parse(whole.ToJsonString());
    }

    private static JsonElement SchemaOf(JsonElement function, string parameter) =>
        Members(function, "properties", JsonValueKind.Object).FirstOrDefault(member => member.Name == parameter).Value;

    /// <summary>A value as its schema says: a text as it stands where any text is right or one of a list, else JSON if it is some.</summary>
    private static JsonElement? ReadValue(string text, JsonElement schema)
    {
        if (!IsPlainText(schema) && TextsOf(schema) is null && JsonText.TryParse(text, out JsonElement value))
        {
            // A text that is not written as JSON but could be read so, "5" for one.
            if (!IsText(schema) || value.ValueKind == JsonValueKind.String) return value.ValueKind == JsonValueKind.Null ? null : value;
        }
        return JsonElement.Parse($"\"{JsonEncodedText.Encode(text)}\"");
    }

    /// <summary>Without the line breaks that the tags bring.</summary>
    private static string WithoutOuterLines(string text)
    {
        if (text.StartsWith('\n')) text = text[1..];
        return text.EndsWith('\n') ? text[..^1] : text;
    }

    private static IEnumerable<(string Name, JsonElement Value)> Members(JsonElement schema, string name, JsonValueKind kind)
    {
        if (schema.ValueKind != JsonValueKind.Object || !schema.TryGetProperty(name, out JsonElement members) || members.ValueKind != kind) return [];
        return kind == JsonValueKind.Object
            ? members.EnumerateObject().Select(member => (member.Name, member.Value))
            : members.EnumerateArray().Where(member => member.ValueKind == JsonValueKind.String).Select(member => (member.GetString()!, member));
    }
}
