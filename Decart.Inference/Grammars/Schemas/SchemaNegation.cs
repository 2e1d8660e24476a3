using System.Globalization;
using System.Text.Json;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>
/// What matches no schema of <c>not</c>, as schemas: a value does not match a schema where it breaks one of its keywords, and what breaks most of them is a schema again.
/// </summary>
internal sealed class SchemaNegation(SchemaDocument document)
{
    /// <summary>Keywords that there is no such schema for.</summary>
    private static readonly HashSet<string> Unsupported =
    [
        "additionalItems", "additionalProperties", "dependencies", "dependentSchemas", "format", "if", "items", "multipleOf", "oneOf", "patternProperties", "propertyNames", "unevaluatedItems",
        "unevaluatedProperties", "$dynamicRef", "$recursiveRef",
    ];

    /// <summary>Lists of schemas: a value that does not match the schema matches all schemas of one of the lists.</summary>
    /// <exception cref="GrammarException">It has a keyword whose contrary cannot be said.</exception>
    public IReadOnlyList<IReadOnlyList<Schema>> Of(Schema schema)
    {
        schema = schema with { Scope = SchemaScope.All };
        if (schema.Element.ValueKind == JsonValueKind.False) return [[]];
        if (schema.Element.ValueKind != JsonValueKind.Object) return [];
        return [.. schema.Element.EnumerateObject().SelectMany(property => Breaking(schema, schema.At(property.Name, property.Value), property.Name))];
    }

    private IEnumerable<IReadOnlyList<Schema>> Breaking(Schema schema, Schema at, string keyword) => keyword switch
    {
        "$ref" => [[Not(document.Resolve(SchemaReader.Text(at), at.Path))]],
        "not" => [[at]],
        "allOf" => Parts(at).Select(part => (IReadOnlyList<Schema>)[Not(part)]),
        "anyOf" => [[.. Parts(at).Select(Not)]],
        "type" => OtherTypes(schema, at),
        "const" => OtherValues(schema, [at]),
        "enum" => OtherValues(schema, [.. Parts(at)]),
        "pattern" => [[schema.Derive(keyword, """{"type":"string"}"""), at with { Scope = SchemaScope.NotPattern }]],
        "minimum" or "maximum" or "exclusiveMinimum" or "exclusiveMaximum" => OtherNumbers(schema, at, keyword),
        "minLength" or "minItems" or "minProperties" => Fewer(schema, at, keyword),
        "maxLength" or "maxItems" or "maxProperties" => More(schema, at, keyword),
        "required" when at.Element.ValueKind == JsonValueKind.Array =>
            SchemaReader.Texts(at).Select(name => One(schema, $"{keyword} {name}", $$$$"""{"type":"object","properties":{{{{{SchemaDocument.Quote(name)}}}}:false}}""")),
        "dependentRequired" => SchemaReader.Members(at).SelectMany(member => SchemaReader.Texts(member).Select(name => One(schema, $"{member.Path} {name}", Lacking(NameOf(member), name)))),
        "properties" => SchemaReader.Members(at).Where(member => !member.IsAnything).Select(member => One(schema, member.Path, Having(NameOf(member), member.Element))),
        "prefixItems" => Parts(at).Select((part, index) => One(schema, part.Path, ItemAt(index, part.Element))),
        "uniqueItems" when at.Element.ValueKind == JsonValueKind.False => [],
        "uniqueItems" or "contains" => throw Unsaid(at),
        _ when Unsupported.Contains(keyword) && !at.IsAnything => throw Unsaid(at),
        _ => [],
    };

    private static GrammarException Unsaid(Schema at) => new(at.Path, "is not supported in a schema that must not match");

    private static Schema Not(Schema schema) => schema with { Scope = SchemaScope.Not };

    private static IEnumerable<Schema> Parts(Schema at) => SchemaReader.List(at).Select((part, index) => at.At(index, part));

    private static IReadOnlyList<Schema> One(Schema schema, string origin, string json) => [schema.Derive(origin, json)];

    private static string NameOf(Schema member) => SchemaDocument.Unescape(member.Path[(member.Path.LastIndexOf('/') + 1)..]);

    private static string Lacking(string name, string required) =>
        $$$$"""{"type":"object","required":[{{{{SchemaDocument.Quote(name)}}}}],"properties":{{{{{SchemaDocument.Quote(required)}}}}:false}}""";

    private static string Having(string name, JsonElement other) =>
        $$$$"""{"type":"object","required":[{{{{SchemaDocument.Quote(name)}}}}],"properties":{{{{{SchemaDocument.Quote(name)}}}}:{"not":{{{{other.GetRawText()}}}}}}}""";

    private static string ItemAt(int index, JsonElement other) => string.Create(
        CultureInfo.InvariantCulture, $$$$"""{"type":"array","minItems":{{{{index + 1}}}},"prefixItems":[{{{{string.Concat(Enumerable.Repeat("true,", index))}}}}{"not":{{{{other.GetRawText()}}}}}]}""");

    private static IEnumerable<IReadOnlyList<Schema>> OtherTypes(Schema schema, Schema at)
    {
        Constraints constraints = new() { Path = at.Path };
        SchemaReader.ReadTypes(schema, at, constraints);
        if (Types(schema, "type", JsonTypes.All & ~constraints.Types) is { } others) yield return others;
        if (constraints.Has(JsonTypes.Number) && constraints.Numbers.IsInteger) yield return [schema.Derive("number", """{"type":"number"}"""), at with { Scope = SchemaScope.Fraction }];
    }

    /// <summary>Values of some types; null for none.</summary>
    private static IReadOnlyList<Schema>? Types(Schema schema, string origin, JsonTypes types)
    {
        string names = string.Join(',', Enum.GetValues<JsonTypes>().Where(type => type is not (JsonTypes.None or JsonTypes.All) && types.HasFlag(type)).Select(type => $"\"{type.ToString().ToLowerInvariant()}\""));
        return names.Length == 0 ? null : One(schema, origin, $$$$"""{"type":[{{{{names}}}}]}""");
    }

    private static IEnumerable<IReadOnlyList<Schema>> OtherValues(Schema schema, Schema[] values)
    {
        if (Array.Find(values, value => value.Element.ValueKind is JsonValueKind.Array or JsonValueKind.Object) is { Path: { } path })
            throw new GrammarException(path, "is an array or an object, which is not supported among values that must not be");
        JsonTypes mentioned = values.Aggregate(JsonTypes.None, (types, value) => types | TypeOf(value.Element));
        if (Types(schema, "other types", JsonTypes.All & ~mentioned) is { } others) yield return others;
        bool[] booleans = [.. values.Where(value => TypeOf(value.Element) == JsonTypes.Boolean).Select(value => value.Element.GetBoolean()).Distinct()];
        if (booleans is [var one]) yield return One(schema, "boolean", one ? """{"const":false}""" : """{"const":true}""");
        if (mentioned.HasFlag(JsonTypes.String))
            yield return [schema.Derive("string", """{"type":"string"}"""), .. values.Where(value => value.Element.ValueKind == JsonValueKind.String).Select(value => value with { Scope = SchemaScope.NotText })];
        if (!mentioned.HasFlag(JsonTypes.Number)) yield break;
        string[] numbers = [.. values.Where(value => value.Element.ValueKind == JsonValueKind.Number).OrderBy(SchemaReader.Number).Select(value => value.Element.GetRawText())];
        yield return One(schema, "below", $$$$"""{"type":"number","exclusiveMaximum":{{{{numbers[0]}}}}}""");
        for (int i = 1; i < numbers.Length; i++)
            yield return One(schema, $"between {numbers[i]}", $$$$"""{"type":"number","exclusiveMinimum":{{{{numbers[i - 1]}}}},"exclusiveMaximum":{{{{numbers[i]}}}}}""");
        yield return One(schema, "above", $$$$"""{"type":"number","exclusiveMinimum":{{{{numbers[^1]}}}}}""");
    }

    private static JsonTypes TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => JsonTypes.Null,
        JsonValueKind.True or JsonValueKind.False => JsonTypes.Boolean,
        JsonValueKind.Number => JsonTypes.Number,
        JsonValueKind.String => JsonTypes.String,
        JsonValueKind.Array => JsonTypes.Array,
        _ => JsonTypes.Object,
    };

    private static IEnumerable<IReadOnlyList<Schema>> OtherNumbers(Schema schema, Schema at, string keyword)
    {
        if (at.Element.ValueKind is JsonValueKind.True or JsonValueKind.False) yield break; // draft 4: belongs to the bound
        bool isMin = keyword is "minimum" or "exclusiveMinimum";
        string flag = isMin ? "exclusiveMinimum" : "exclusiveMaximum";
        bool isExclusive = keyword == flag || (schema.Element.TryGetProperty(flag, out JsonElement draft4) && draft4.ValueKind == JsonValueKind.True);
        string contrary = (isMin, isExclusive) switch { (true, true) => "maximum", (true, false) => "exclusiveMaximum", (false, true) => "minimum", _ => "exclusiveMinimum" };
        SchemaReader.Number(at);
        yield return One(schema, keyword, $$$$"""{"type":"number","{{{{contrary}}}}":{{{{at.Element.GetRawText()}}}}}""");
    }

    private static IEnumerable<IReadOnlyList<Schema>> Fewer(Schema schema, Schema at, string keyword)
    {
        int count = SchemaReader.Count(at);
        if (count > 0) yield return Counted(schema, keyword, "max", count - 1);
    }

    private static IEnumerable<IReadOnlyList<Schema>> More(Schema schema, Schema at, string keyword)
    {
        int count = SchemaReader.Count(at);
        if (count != int.MaxValue) yield return Counted(schema, keyword, "min", count + 1);
    }

    private static IReadOnlyList<Schema> Counted(Schema schema, string keyword, string bound, int count)
    {
        string what = keyword[bound.Length..], type = what switch { "Length" => "string", "Items" => "array", _ => "object" };
        return One(schema, keyword, string.Create(CultureInfo.InvariantCulture, $$$$"""{"type":"{{{{type}}}}","{{{{bound}}}}{{{{what}}}}":{{{{count}}}}}"""));
    }
}
