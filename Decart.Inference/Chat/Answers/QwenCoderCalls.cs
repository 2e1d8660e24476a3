using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace Decart.Inference.Chat.Answers;

/// <summary>
/// The format of Qwen3-Coder: within <c>&lt;tool_call&gt;</c> tags the function as a tag, and in it a tag for each parameter. Texts stand there as they are, other values as JSON.
/// What a value is can be told by the function's schema only.
/// </summary>
internal sealed class QwenCoderCalls : TaggedCalls
{
    private const string FunctionOpening = "<function=", FunctionClosing = "</function>", ParameterOpening = "<parameter=", ParameterClosing = "</parameter>";

    /// <summary>What may be said of a parameter that any text is right for.</summary>
    private static readonly HashSet<string> Notes = ["type", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"];

    private readonly Dictionary<string, IReadOnlyList<TaggedParameter>> _parameters = new(StringComparer.Ordinal);

    /// <param name="functions">The functions that are offered.</param>
    /// <exception cref="GrammarException">One of them has a name, or parameters, that cannot be written so.</exception>
    public QwenCoderCalls(IEnumerable<AIFunctionDeclaration> functions)
    {
        foreach (AIFunctionDeclaration function in functions)
        {
            TaggedParameter.RequireName(function.Name);
            _parameters.TryAdd(function.Name, TaggedParameter.Of(function.JsonSchema));
        }
    }

    /// <summary>Models forget the outer tag.</summary>
    public override Grammar Text { get; } = Grammar.TextWithout(Opening, FunctionOpening);

    /// <summary>Whether a template writes calls so.</summary>
    public static bool IsFormatOf(ChatTemplate template) => template.Contains(FunctionOpening) && template.Contains(ParameterOpening);

    /// <summary>Parameters stand in the order of the schema.</summary>
    /// <inheritdoc/>
    public override Grammar Call(AIFunctionDeclaration function)
    {
        List<Grammar> parts = [Grammar.Literal(Opening), Grammar.Choice($"\n{FunctionOpening}{function.Name}>\n")];
        foreach (TaggedParameter parameter in _parameters[function.Name])
        {
            Grammar part = Grammar.Sequence(Grammar.Choice($"{ParameterOpening}{parameter.Name}>\n"), Value(function.JsonSchema, parameter.Schema));
            parts.Add(parameter.IsRequired ? part : Grammar.Repeat(part, 0, 1));
        }
        return Grammar.Sequence([.. parts, Grammar.Choice($"{FunctionClosing}\n"), Grammar.Literal(End)]);
    }

    public override List<FunctionCallContent>? Read(string text)
    {
        text = text.Trim();
        int nameEnd = text.IndexOf('>', StringComparison.Ordinal);
        if (!text.StartsWith(FunctionOpening, StringComparison.Ordinal) || nameEnd < 0) return null;
        string function = text[FunctionOpening.Length..nameEnd].Trim();
        IReadOnlyList<TaggedParameter> parameters = _parameters.GetValueOrDefault(function, []);
        Dictionary<string, object?> arguments = [];
        int position = nameEnd + 1;
        while (text.IndexOf(ParameterOpening, position, StringComparison.Ordinal) is >= 0 and var start)
        {
            nameEnd = text.IndexOf('>', start);
            if (nameEnd < 0) return null;
            string name = text[(start + ParameterOpening.Length)..nameEnd].Trim();
            (arguments[name], position) = ReadValue(text, nameEnd + 1, parameters.FirstOrDefault(parameter => parameter.Name == name)?.Schema ?? default);
        }
        return [Create(function, arguments)];
    }

    /// <summary>What a value's tag holds, to its end.</summary>
    private static Grammar Value(JsonElement function, JsonElement schema)
    {
        if (IsPlainText(schema)) return Grammar.Sequence(Grammar.TextWithout(ParameterClosing, End), Grammar.Choice($"{ParameterClosing}\n"));
        return Grammar.Sequence(TextsOf(schema) is { } texts ? Grammar.Choice(texts) : Grammar.JsonSchema(WithDefinitions(function, schema)), Grammar.Choice($"\n{ParameterClosing}\n"));
    }

    /// <summary>Whether any text is right.</summary>
    private static bool IsPlainText(JsonElement schema) => IsText(schema) && schema.EnumerateObject().All(member => Notes.Contains(member.Name));

    private static bool IsText(JsonElement schema) => schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("string");

    /// <summary>The texts that a value is one of; null where it is none of a list of texts.</summary>
    private static string[]? TextsOf(JsonElement schema)
    {
        bool isList = IsText(schema) && schema.EnumerateObject().All(member => Notes.Contains(member.Name) || member.Name == "enum");
        if (!isList || !schema.TryGetProperty("enum", out JsonElement values) || values.ValueKind != JsonValueKind.Array) return null;
        // One with tags in it would not be read as it stands.
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
            if (function.ValueKind == JsonValueKind.Object && function.TryGetProperty(name, out JsonElement definitions)) whole.TryAdd(name, JsonNode.Parse(definitions.GetRawText()));
        }
        return JsonElement.Parse(whole.ToJsonString());
    }

    /// <summary>Reads a value from after its tag: a text as it stands where any text is right or one of a list, else JSON if it is some.</summary>
    /// <returns>The value, null for JSON's, and where the closing tag is.</returns>
    private static (JsonElement? Value, int End) ReadValue(string text, int start, JsonElement schema)
    {
        int end = Closings(text, start).FirstOrDefault(EndWithoutClosing(text, start));
        if (!IsPlainText(schema) && TextsOf(schema) is null)
        {
            // JSON may have a text with a closing tag in it.
            foreach (int closing in Closings(text, start).DefaultIfEmpty(end))
            {
                if (!JsonText.TryParse(text[start..closing], out JsonElement value)) continue;
                // A text that is not written as JSON but could be read so, "5" for one.
                if (IsText(schema) && value.ValueKind != JsonValueKind.String) break;
                return (value.ValueKind == JsonValueKind.Null ? null : value, closing);
            }
        }
        return (JsonElement.Parse($"\"{JsonEncodedText.Encode(WithoutOuterLines(text[start..end]))}\""), end);
    }

    private static IEnumerable<int> Closings(string text, int start)
    {
        for (int index = text.IndexOf(ParameterClosing, start, StringComparison.Ordinal); index >= 0; index = text.IndexOf(ParameterClosing, index + 1, StringComparison.Ordinal)) yield return index;
    }

    /// <summary>Where a value ends whose model has forgotten its closing tag.</summary>
    private static int EndWithoutClosing(string text, int start) =>
        new[] { ParameterOpening, FunctionClosing }.Select(tag => text.IndexOf(tag, start, StringComparison.Ordinal)).Where(index => index >= 0).DefaultIfEmpty(text.Length).Min();

    /// <summary>Without the line breaks that the tags bring.</summary>
    private static string WithoutOuterLines(string text)
    {
        if (text.StartsWith('\n')) text = text[1..];
        return text.EndsWith('\n') ? text[..^1] : text;
    }
}
