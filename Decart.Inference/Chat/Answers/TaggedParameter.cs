using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Grammars.Schemas;

namespace Decart.Inference.Chat.Answers;

/// <summary>A parameter of a function that is called by tags: <see cref="QwenCoderCalls"/>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Schema">What its value must match.</param>
/// <param name="IsRequired">Whether each call must have it.</param>
internal sealed record TaggedParameter(string Name, JsonElement Schema, bool IsRequired)
{
    /// <summary>What a schema may say of its members that tags can be held to.</summary>
    private static readonly HashSet<string> Supported = ["type", "properties", "required", "additionalProperties", "minProperties", "maxProperties"];

    /// <summary>What it may say of them together, which tags, each by itself, cannot be held to.</summary>
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
        Schema own = Resolve(new SchemaDocument(schema));
        SchemaReader.RequireObject(own);
        foreach (JsonProperty keyword in own.Element.EnumerateObject())
        {
            if (Unsupported.Contains(keyword.Name)) throw new GrammarException($"{own.Path}/{keyword.Name}", "is not supported for the parameters of a function: the model writes each by itself");
        }
        if (own.Child("type") is { } type && !IsObject(type.Element)) throw new GrammarException(type.Path, "is not object; functions take objects");
        HashSet<string> required = [.. Required(own)];
        List<TaggedParameter> parameters = [];
        if (own.Child("properties") is { } properties)
        {
            SchemaReader.RequireObject(properties);
            foreach (JsonProperty property in properties.Element.EnumerateObject().DistinctBy(property => property.Name))
            {
                // What must not be there is no parameter, if it need not be either.
                bool isRequired = required.Remove(property.Name);
                if (isRequired || property.Value.ValueKind != JsonValueKind.False) parameters.Add(new TaggedParameter(property.Name, property.Value, isRequired));
            }
        }
        parameters.AddRange(required.Select(name => new TaggedParameter(name, SchemaOfOthers(own, name), IsRequired: true)));
        foreach (TaggedParameter parameter in parameters) RequireName(parameter.Name);
        int needed = parameters.Count(parameter => parameter.IsRequired);
        if (own.Child("minProperties") is { } least && SchemaReader.Count(least) > needed) throw new GrammarException(least.Path, "is not supported for more parameters of a function than are required");
        if (own.Child("maxProperties") is { } most && SchemaReader.Count(most) < parameters.Count) throw new GrammarException(most.Path, "is not supported for fewer parameters of a function than there are");
        return parameters;
    }

    /// <summary>Names stand in tags, and models put white space around them.</summary>
    /// <exception cref="GrammarException">It could not be read again.</exception>
    public static void RequireName(string name)
    {
        if (name.Length == 0 || name.AsSpan().Trim().Length < name.Length || name.Contains('>', StringComparison.Ordinal))
            throw new GrammarException($"The name {Quoted.Value(name)} cannot be written in the model's calls: one without \">\" and without white space around it was expected.");
    }

    /// <summary>The whole schema, or what it refers to where it says nothing else.</summary>
    private static Schema Resolve(SchemaDocument document)
    {
        Schema found = document.Root;
        HashSet<string> seen = [];
        while (found.Child("$ref") is { } reference && seen.Add(found.Path) && !SaysMore(found)) found = document.Resolve(SchemaReader.Text(reference), reference.Path);
        return found;

        static bool SaysMore(Schema schema) => schema.Element.EnumerateObject().Any(keyword => keyword.Name != "$ref" && (Supported.Contains(keyword.Name) || Unsupported.Contains(keyword.Name)));
    }

    private static bool IsObject(JsonElement type) => type.ValueKind == JsonValueKind.Array
        ? type.EnumerateArray().Any(IsObject)
        : type.ValueKind == JsonValueKind.String && type.ValueEquals("object");

    private static IEnumerable<string> Required(Schema schema) =>
        schema.Child("required") is { Element.ValueKind: not (JsonValueKind.True or JsonValueKind.False) } required ? SchemaReader.Texts(required) : [];

    /// <summary>What a parameter must match that no property describes.</summary>
    private static JsonElement SchemaOfOthers(Schema schema, string name) => schema.Child("additionalProperties") switch
    {
        null => JsonElement.Parse("true"),
        { Element.ValueKind: JsonValueKind.False } => throw new GrammarException($"{schema.Path}/required", $"names {Quoted.Value(name)}, which is none of the properties, and others are not allowed"),
        { } others => others.Element,
    };
}
