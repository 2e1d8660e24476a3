using System.Text.Json;
using Decart.Inference.Checkpoints;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>
/// Reads schemas that hold together: follows their references and collects what they say. Keywords of the standard that are not supported are refused;
/// those that say nothing of values, and words that the standard does not know, are passed over as it demands.
/// </summary>
internal sealed class SchemaReader(SchemaDocument document)
{
    /// <summary>Lengths and counts beyond this are as good as none.</summary>
    private const int LargestCount = 1_000_000;

    private static readonly HashSet<string> Unsupported =
    [
        "not", "if", "contains", "dependentSchemas", "$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties", "dependencies", "uniqueItems", "disallow", "extends",
    ];

    private static readonly HashSet<string> Applicators = ["$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "$dynamicRef"];

    /// <summary>What a value must be to match all of some schemas.</summary>
    public Constraints Read(IReadOnlyList<Schema> schemas)
    {
        Constraints constraints = new() { Path = schemas[0].Path };
        HashSet<string> read = [];
        Stack<Schema> open = new(schemas.Reverse());
        while (open.TryPop(out Schema schema))
        {
            if (read.Add(schema.Key)) Read(schema, constraints, open);
        }
        return constraints;
    }

    private void Read(Schema schema, Constraints into, Stack<Schema> open)
    {
        if (schema.Scope is SchemaScope.AnyOf or SchemaScope.OneOf)
        {
            AddAlternatives(schema, schema.Scope == SchemaScope.AnyOf ? "anyOf" : "oneOf", into);
            return;
        }
        if (schema.Element.ValueKind == JsonValueKind.True) return;
        into.Own.Add(schema with { Scope = SchemaScope.Own });
        if (schema.Element.ValueKind == JsonValueKind.False)
        {
            into.Types = JsonTypes.None;
            return;
        }
        if (schema.Element.ValueKind != JsonValueKind.Object) throw new GrammarException(schema.Path, $"is {Kind(schema.Element)}; a schema is an object, true or false");
        foreach (JsonProperty property in schema.Element.EnumerateObject())
        {
            if (schema.Scope == SchemaScope.All && ReadApplicator(schema, property, into, open)) continue;
            ReadOwn(schema, property, into);
        }
        ReadItems(schema, into);
        ReadMembers(schema, into);
    }

    private bool ReadApplicator(Schema schema, JsonProperty property, Constraints into, Stack<Schema> open)
    {
        Schema at = schema.At(property.Name, property.Value);
        switch (property.Name)
        {
            case "$ref":
                open.Push(document.Resolve(Text(at), at.Path));
                return true;
            case "allOf":
                foreach (Schema part in List(schema, property)) open.Push(part);
                return true;
            case "anyOf" or "oneOf":
                AddAlternatives(schema, property.Name, into);
                return true;
            default:
                return false;
        }
    }

    private static void AddAlternatives(Schema schema, string keyword, Constraints into)
    {
        JsonProperty property = schema.Element.EnumerateObject().Last(its => its.Name == keyword);
        SchemaScope scope = keyword == "anyOf" ? SchemaScope.AnyOf : SchemaScope.OneOf;
        into.Alternatives.Add(new Alternatives(schema with { Scope = scope }, List(schema, property)));
    }

    private static void ReadOwn(Schema schema, JsonProperty property, Constraints into)
    {
        Schema at = schema.At(property.Name, property.Value);
        switch (property.Name)
        {
            case "type":
                ReadTypes(schema, at, into);
                break;
            case "enum":
                Restrict(into, List(at));
                break;
            case "const":
                Restrict(into, [property.Value]);
                break;
            case "minimum" or "maximum" or "exclusiveMinimum" or "exclusiveMaximum":
                ReadBound(schema, property.Name, at, into);
                break;
            case "multipleOf":
                ReadMultiple(at, into);
                break;
            case "minLength":
                into.MinLength = Math.Max(into.MinLength, Count(at));
                break;
            case "maxLength":
                into.MaxLength = Math.Min(into.MaxLength, Count(at));
                break;
            case "pattern":
                into.Patterns.Add((Text(at), at.Path));
                break;
            case "format":
                into.Formats.Add((Text(at), at.Path));
                break;
            case "minItems":
                into.MinItems = Math.Max(into.MinItems, Count(at));
                break;
            case "maxItems":
                into.MaxItems = Math.Min(into.MaxItems, Count(at));
                break;
            case "uniqueItems" when at.Element.ValueKind is JsonValueKind.True or JsonValueKind.False:
                if (at.Element.GetBoolean()) into.UniqueItems = at.Path;
                break;
            case "required" when at.Element.ValueKind is JsonValueKind.True or JsonValueKind.False:
                break; // draft 3 wrote it inside a property
            case "required":
                into.Required.UnionWith(Texts(at));
                break;
            case "minProperties":
                into.MinProperties = Math.Max(into.MinProperties, Count(at));
                break;
            case "maxProperties":
                into.MaxProperties = Math.Min(into.MaxProperties, Count(at));
                break;
            case "propertyNames":
                into.Names.Add(at);
                break;
            case "dependentRequired":
                ReadDependentRequired(at, into);
                break;
            case "dependencies" when Members(at).All(member => member.Element.ValueKind == JsonValueKind.Array):
                ReadDependentRequired(at, into);
                break;
            case "unevaluatedProperties" or "unevaluatedItems" when IsPlain(schema, property):
                break;
            default:
                if (Unsupported.Contains(property.Name)) throw new GrammarException(at.Path, "is not supported");
                break;
        }
    }

    /// <summary>Without schemas that apply to the same value, what is left over is what no other keyword of the schema speaks of.</summary>
    private static bool IsPlain(Schema schema, JsonProperty property) =>
        IsAnything(property.Value) || !schema.Element.EnumerateObject().Any(its => Applicators.Contains(its.Name));

    private static bool IsAnything(JsonElement schema) =>
        schema.ValueKind == JsonValueKind.True || (schema.ValueKind == JsonValueKind.Object && !schema.EnumerateObject().Any());

    private static void ReadTypes(Schema schema, Schema at, Constraints into)
    {
        JsonTypes types = JsonTypes.None;
        bool hasNumber = false;
        foreach (string name in at.Element.ValueKind == JsonValueKind.Array ? Texts(at) : [Text(at)])
        {
            hasNumber |= name == "number";
            types |= name switch
            {
                "null" => JsonTypes.Null,
                "boolean" => JsonTypes.Boolean,
                "number" or "integer" => JsonTypes.Number,
                "string" => JsonTypes.String,
                "array" => JsonTypes.Array,
                "object" => JsonTypes.Object,
                "any" => JsonTypes.All,
                _ => throw new GrammarException(at.Path, $"names the type {Quoted.Value(name)}; null, boolean, number, integer, string, array and object are there"),
            };
        }
        if (schema.Element.TryGetProperty("nullable", out JsonElement nullable) && nullable.ValueKind == JsonValueKind.True) types |= JsonTypes.Null;
        if (types.HasFlag(JsonTypes.Number) && !hasNumber && types != JsonTypes.All) into.Numbers.IsInteger = true;
        into.Types &= types;
    }

    private static void Restrict(Constraints into, IReadOnlyList<JsonElement> values) =>
        into.Values = into.Values is { } before
            ? before.FindAll(value => values.Any(other => JsonElement.DeepEquals(value, other)))
            : [.. values];

    private static void ReadBound(Schema schema, string keyword, Schema at, Constraints into)
    {
        bool isMin = keyword is "minimum" or "exclusiveMinimum", isExclusive = keyword[0] == 'e';
        if (at.Element.ValueKind is JsonValueKind.True or JsonValueKind.False) return; // draft 4: belongs to the bound
        string flag = isMin ? "exclusiveMinimum" : "exclusiveMaximum";
        isExclusive |= schema.Element.TryGetProperty(flag, out JsonElement draft4) && draft4.ValueKind == JsonValueKind.True;
        NumberBound bound = new(Number(at), isExclusive);
        if (isMin) into.Numbers.RaiseMin(bound);
        else into.Numbers.LowerMax(bound);
    }

    private static void ReadMultiple(Schema at, Constraints into)
    {
        DecimalNumber divisor = Number(at);
        if (divisor.Sign <= 0) throw new GrammarException(at.Path, "must be a number above 0");
        if (divisor.Digits > MultipleState.MaxDivisor)
            throw new GrammarException(at.Path, $"is {Quoted.Value(at.Element.GetRawText())}; without the point, up to {MultipleState.MaxDivisor} are supported");
        into.Numbers.Multiples.Add(divisor);
    }

    private static void ReadDependentRequired(Schema at, Constraints into)
    {
        foreach (Schema member in Members(at))
        {
            string name = member.Path[(at.Path.Length + 1)..].Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (!into.DependentRequired.TryGetValue(name, out HashSet<string>? required)) into.DependentRequired.Add(name, required = []);
            required.UnionWith(Texts(member));
        }
    }

    private static void ReadItems(Schema schema, Constraints into)
    {
        Schema? items = Child(schema, "items"), prefix = Child(schema, "prefixItems"), rest = items;
        if (items is { Element.ValueKind: JsonValueKind.Array })
        {
            (prefix, rest) = (items, Child(schema, "additionalItems")); // up to draft 2019-09
        }
        rest ??= Child(schema, "unevaluatedItems");
        if (prefix is null && rest is null) return;
        into.Items.Add(new ItemConstraints(prefix is { } first ? [.. List(first).Select((item, index) => new Schema(item, $"{first.Path}/{index}"))] : [], rest));
    }

    private static void ReadMembers(Schema schema, Constraints into)
    {
        Schema? known = Child(schema, "properties"), patterns = Child(schema, "patternProperties"), rest = Child(schema, "additionalProperties") ?? Child(schema, "unevaluatedProperties");
        if (known is null && patterns is null && rest is null) return;
        Dictionary<string, Schema> byName = [];
        if (known is { } properties)
        {
            RequireObject(properties);
            foreach (JsonProperty property in properties.Element.EnumerateObject()) byName[property.Name] = properties.At(property.Name, property.Value);
        }
        List<(string, Schema)> byPattern = [];
        if (patterns is { } expressions)
        {
            RequireObject(expressions);
            foreach (JsonProperty property in expressions.Element.EnumerateObject()) byPattern.Add((property.Name, expressions.At(property.Name, property.Value)));
        }
        into.Members.Add(new MemberConstraints(byName, byPattern, rest));
    }

    private static Schema? Child(Schema schema, string keyword) =>
        schema.Element.TryGetProperty(keyword, out JsonElement child) ? schema.At(keyword, child) : null;

    private static IEnumerable<Schema> Members(Schema at)
    {
        RequireObject(at);
        return at.Element.EnumerateObject().Select(property => at.At(property.Name, property.Value));
    }

    private static void RequireObject(Schema at)
    {
        if (at.Element.ValueKind != JsonValueKind.Object) throw new GrammarException(at.Path, $"is {Kind(at.Element)}; an object was expected");
    }

    private static IReadOnlyList<Schema> List(Schema schema, JsonProperty property)
    {
        Schema at = schema.At(property.Name, property.Value);
        IReadOnlyList<JsonElement> items = List(at);
        if (items.Count == 0) throw new GrammarException(at.Path, "is empty; at least one schema was expected");
        return [.. items.Select((item, index) => schema.At(property.Name, index, item))];
    }

    private static IReadOnlyList<JsonElement> List(Schema at) =>
        at.Element.ValueKind == JsonValueKind.Array ? [.. at.Element.EnumerateArray()] : throw new GrammarException(at.Path, $"is {Kind(at.Element)}; an array was expected");

    private static string Text(Schema at) =>
        at.Element.ValueKind == JsonValueKind.String ? at.Element.GetString()! : throw new GrammarException(at.Path, $"is {Kind(at.Element)}; a string was expected");

    private static IEnumerable<string> Texts(Schema at) => List(at).Select((item, index) => Text(new Schema(item, $"{at.Path}/{index}")));

    private static DecimalNumber Number(Schema at)
    {
        if (at.Element.ValueKind != JsonValueKind.Number) throw new GrammarException(at.Path, $"is {Kind(at.Element)}; a number was expected");
        return DecimalNumber.Read(at.Element) ?? throw new GrammarException(at.Path, "has too many digits");
    }

    private static int Count(Schema at)
    {
        DecimalNumber number = Number(at);
        if (number.Sign < 0 || !number.IsInteger) throw new GrammarException(at.Path, "must be a whole number that is not negative");
        return number.Digits > LargestCount ? int.MaxValue : (int)number.Digits;
    }

    private static string Kind(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        JsonValueKind.Null => "null",
        JsonValueKind.Number => "a number",
        JsonValueKind.String => "a string",
        JsonValueKind.Array => "an array",
        _ => "an object",
    };
}
