using System.Text.Json;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Chat.Answers;

/// <summary>A parameter of a function that is called by tags: <see cref="QwenCoderCalls"/>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Schema">What its value must match.</param>
/// <param name="IsRequired">Whether each call must have it.</param>
internal sealed record TaggedParameter(string Name, JsonElement Schema, bool IsRequired)
{
    private const string Definitions = "#/$defs/", OldDefinitions = "#/definitions/";

    /// <summary>What a schema may say of its members together, which tags, each by itself, cannot be held to.</summary>
    private static readonly HashSet<string> Unsupported =
    [
        "$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "not", "if", "enum", "const", "patternProperties", "propertyNames",
        "dependentRequired", "dependentSchemas", "dependencies", "extends", "disallow",
    ];

    /// <summary>The parameters of a function, in the order of its schema; those that it only names as required come last.</summary>
    /// <param name="schema">The function's schema; undefined, empty or <c>true</c> for none.</param>
    /// <exception cref="GrammarException">It says more than which members there are, or no object matches it.</exception>
    public static IReadOnlyList<TaggedParameter> Of(JsonElement schema)
    {
        if (schema.ValueKind == JsonValueKind.False) throw new GrammarException("", "is false; the schema of an object was expected");
        if (schema.ValueKind != JsonValueKind.Object) return [];
        JsonElement own = Resolve(schema);
        foreach (JsonProperty keyword in own.EnumerateObject())
        {
            if (Unsupported.Contains(keyword.Name)) throw new GrammarException($"/{keyword.Name}", "is not supported for the parameters of a function: the model writes each by itself");
        }
        if (own.TryGetProperty("type", out JsonElement type) && !IsObject(type)) throw new GrammarException("/type", "is not object; functions take objects");
        HashSet<string> required = [.. Required(own)];
        List<TaggedParameter> parameters = [];
        if (own.TryGetProperty("properties", out JsonElement properties))
        {
            if (properties.ValueKind != JsonValueKind.Object) throw new GrammarException("/properties", "is no object; the schemas of parameters were expected");
            foreach (JsonProperty property in properties.EnumerateObject().DistinctBy(property => property.Name))
            {
                // What must not be there is no parameter, if it need not be either.
                bool isRequired = required.Remove(property.Name);
                if (isRequired || property.Value.ValueKind != JsonValueKind.False) parameters.Add(new TaggedParameter(property.Name, property.Value, isRequired));
            }
        }
        parameters.AddRange(required.Select(name => new TaggedParameter(name, SchemaOfOthers(own, name), IsRequired: true)));
        foreach (TaggedParameter parameter in parameters) RequireName(parameter.Name);
        int needed = parameters.Count(parameter => parameter.IsRequired);
        if (Count(own, "minProperties") is { } least && least > needed) throw new GrammarException("/minProperties", "is not supported for more parameters of a function than are required");
        if (Count(own, "maxProperties") is { } most && most < parameters.Count) throw new GrammarException("/maxProperties", "is not supported for fewer parameters of a function than there are");
        return parameters;
    }

    /// <summary>Names stand in tags, and models put white space around them.</summary>
    /// <exception cref="GrammarException">It could not be read again.</exception>
    public static void RequireName(string name)
    {
        if (name.Length == 0 || name.AsSpan().Trim().Length < name.Length || name.Contains('>', StringComparison.Ordinal))
            throw new GrammarException($"The name {Quoted.Value(name)} cannot be written in the model's calls: one without \">\" and without white space around it was expected.");
    }

    /// <summary>The schema itself, or the definition that is all it refers to.</summary>
    private static JsonElement Resolve(JsonElement schema)
    {
        JsonElement found = schema;
        HashSet<string> seen = [];
        while (found.TryGetProperty("$ref", out JsonElement reference) && reference.ValueKind == JsonValueKind.String && seen.Add(reference.GetString()!))
        {
            string target = reference.GetString()!;
            string? place = target.StartsWith(Definitions, StringComparison.Ordinal) ? "$defs" : target.StartsWith(OldDefinitions, StringComparison.Ordinal) ? "definitions" : null;
            bool isAll = !found.EnumerateObject().Any(keyword => keyword.Name is "type" or "properties" or "required" or "additionalProperties" or "minProperties" or "maxProperties" || (keyword.Name != "$ref" && Unsupported.Contains(keyword.Name)));
            if (!isAll || place is null || !schema.TryGetProperty(place, out JsonElement definitions) || definitions.ValueKind != JsonValueKind.Object) break;
            if (!definitions.TryGetProperty(target[(place.Length + 3)..], out JsonElement definition) || definition.ValueKind != JsonValueKind.Object) break;
            found = definition;
        }
        return found;
    }

    private static bool IsObject(JsonElement type) => type.ValueKind == JsonValueKind.Array
        ? type.EnumerateArray().Any(one => one.ValueKind == JsonValueKind.String && one.ValueEquals("object"))
        : type.ValueKind == JsonValueKind.String && type.ValueEquals("object");

    private static IEnumerable<string> Required(JsonElement schema)
    {
        if (!schema.TryGetProperty("required", out JsonElement required) || required.ValueKind is JsonValueKind.True or JsonValueKind.False) return [];
        bool areNames = required.ValueKind == JsonValueKind.Array && required.EnumerateArray().All(name => name.ValueKind == JsonValueKind.String);
        return areNames ? required.EnumerateArray().Select(name => name.GetString()!) : throw new GrammarException("/required", "is no array of strings");
    }

    /// <summary>What a parameter must match that no property describes.</summary>
    private static JsonElement SchemaOfOthers(JsonElement schema, string name)
    {
        if (!schema.TryGetProperty("additionalProperties", out JsonElement others)) return JsonElement.Parse("true");
        return others.ValueKind != JsonValueKind.False ? others
            : throw new GrammarException("/required", $"names {Quoted.Value(name)}, which is none of the properties, and others are not allowed");
    }

    private static int? Count(JsonElement schema, string keyword) =>
        schema.TryGetProperty(keyword, out JsonElement count) && count.ValueKind == JsonValueKind.Number && count.TryGetInt32(out int value) ? value : null;
}
