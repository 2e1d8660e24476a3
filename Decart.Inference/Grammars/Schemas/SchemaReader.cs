using System.Runtime.InteropServices;
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
        "contains", "$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties", "disallow", "extends",
    ];

    private static readonly HashSet<string> Applicators = ["$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "dependencies", "$dynamicRef"];

    /// <summary>Bytes of all values that a schema lists.</summary>
    private const int MaxListed = 1 << 19;

    /// <summary>Members that a schema names in all its objects, and names that these require.</summary>
    private const int MaxNamed = 50_000;

    private readonly SchemaNegation _negation = new(document);
    private readonly HashSet<string> _counted = [];
    private long _listed, _named;

    /// <summary>What a value must be to match all of some schemas.</summary>
    public Constraints Read(IReadOnlyList<Schema> schemas)
    {
        Constraints constraints = new() { Path = schemas.Count > 0 ? schemas[0].Path : "" };
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
        if (schema.Scope is not (SchemaScope.All or SchemaScope.Own))
        {
            ReadDerived(schema, into, open);
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
                open.Push(schema with { Scope = property.Name == "anyOf" ? SchemaScope.AnyOf : SchemaScope.OneOf });
                return true;
            case "not":
                open.Push(at with { Scope = SchemaScope.Not });
                return true;
            case "if" when schema.Child("then") is not null || schema.Child("else") is not null:
                open.Push(schema with { Scope = SchemaScope.If });
                return true;
            case "dependentSchemas" or "dependencies":
                foreach (Schema member in Members(at).Where(member => member.Element.ValueKind != JsonValueKind.Array)) open.Push(member with { Scope = SchemaScope.Dependent });
                return property.Name == "dependentSchemas";
            default:
                return false;
        }
    }

    /// <summary>Reads what is said of a value by schemas that it need not match as they stand.</summary>
    private void ReadDerived(Schema schema, Constraints into, Stack<Schema> open)
    {
        switch (schema.Scope)
        {
            case SchemaScope.NotPattern:
                into.ExcludedPatterns.Add((Text(schema), schema.Path));
                break;
            case SchemaScope.NotText:
                into.ExcludedTexts.Add(Text(schema));
                break;
            case SchemaScope.Fraction:
                into.Numbers.IsFraction = true;
                break;
            default:
                IReadOnlyList<IReadOnlyList<Schema>> options = Options(schema);
                if (options is [var only])
                {
                    foreach (Schema part in only) open.Push(part);
                    return;
                }
                if (options.Count > 1)
                {
                    into.Alternatives.Add(new Alternatives(schema, options));
                    return;
                }
                into.Types = JsonTypes.None;
                break;
        }
        into.Own.Add(schema);
    }

    /// <summary>The lists of schemas of which a value must match one.</summary>
    private IReadOnlyList<IReadOnlyList<Schema>> Options(Schema schema)
    {
        switch (schema.Scope)
        {
            case SchemaScope.Not:
                return _negation.Of(schema);
            case SchemaScope.If:
                Schema condition = schema.Child("if")!.Value;
                return [[condition, .. Present(schema.Child("then"))], [condition with { Scope = SchemaScope.Not }, .. Present(schema.Child("else"))]];
            case SchemaScope.Dependent:
                string name = SchemaDocument.Quote(SchemaDocument.Unescape(schema.Path[(schema.Path.LastIndexOf('/') + 1)..]));
                return [[schema.Derive("without", $$$$"""{"properties":{{{{{name}}}}:false}}""")], [schema with { Scope = SchemaScope.All }, schema.Derive("with", $$$$"""{"type":"object","required":[{{{{name}}}}]}""")]];
            default:
                string keyword = schema.Scope == SchemaScope.AnyOf ? "anyOf" : "oneOf";
                JsonProperty property = schema.Element.EnumerateObject().Last(its => its.Name == keyword);
                return [.. List(schema, property).Select(option => (IReadOnlyList<Schema>)[option, .. Discriminated(schema, keyword)])];
        }
    }

    /// <summary>OpenAPI's word for the member that tells the schemas of <c>oneOf</c> apart: all values have it.</summary>
    private static IEnumerable<Schema> Discriminated(Schema schema, string keyword)
    {
        if (keyword == "oneOf" && schema.Child("discriminator")?.Child("propertyName") is { Element.ValueKind: JsonValueKind.String } name)
            yield return schema.Derive("discriminator", $$$$"""{"required":[{{{{name.Element.GetRawText()}}}}]}""");
    }

    private static IEnumerable<Schema> Present(Schema? schema) => schema is { } its ? [its] : [];

    /// <summary>Counts what a schema lists, once, before anything is made of it.</summary>
    private void CountListed(Schema values)
    {
        if (!_counted.Add(values.Path)) return;
        _listed += JsonMarshal.GetRawUtf8Value(values.Element).Length;
        if (_listed > MaxListed) throw new GrammarException(values.Path, $"lists values of more than {MaxListed} bytes, together with what the schema lists elsewhere");
    }

    /// <summary>Counts the members that a schema names, once, before anything is made of them.</summary>
    private void CountNamed(Schema names, int count)
    {
        if (!_counted.Add(names.Path)) return;
        _named += count;
        if (_named > MaxNamed) throw new GrammarException(names.Path, $"names more than {MaxNamed} members, together with what the schema names elsewhere");
    }

    private void ReadOwn(Schema schema, JsonProperty property, Constraints into)
    {
        Schema at = schema.At(property.Name, property.Value);
        switch (property.Name)
        {
            case "type":
                ReadTypes(schema, at, into);
                break;
            case "enum":
                CountListed(at);
                Restrict(into, List(at));
                break;
            case "const":
                CountListed(at);
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
            case "uniqueItems":
                throw new GrammarException(at.Path, $"is {Kind(at.Element)}; a boolean was expected");
            case "required" when at.Element.ValueKind is JsonValueKind.True or JsonValueKind.False:
                break; // draft 3 wrote it inside a property
            case "required":
                if (at.Element.ValueKind == JsonValueKind.Array) CountNamed(at, at.Element.GetArrayLength());
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
            case "dependencies":
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
        schema.At(property.Name, property.Value).IsAnything || !schema.Element.EnumerateObject().Any(its => Applicators.Contains(its.Name));

    public static void ReadTypes(Schema schema, Schema at, Constraints into)
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
            ? before.FindAll(new ValueSet(values).Contains)
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
        foreach (Schema member in Members(at).Where(member => member.Element.ValueKind == JsonValueKind.Array))
        {
            string name = SchemaDocument.Unescape(member.Path[(at.Path.Length + 1)..]);
            if (!into.DependentRequired.TryGetValue(name, out HashSet<string>? required)) into.DependentRequired.Add(name, required = []);
            required.UnionWith(Texts(member));
        }
    }

    private static void ReadItems(Schema schema, Constraints into)
    {
        Schema? items = schema.Child("items"), prefix = schema.Child("prefixItems"), rest = items;
        if (items is { Element.ValueKind: JsonValueKind.Array })
        {
            (prefix, rest) = (items, schema.Child("additionalItems")); // up to draft 2019-09
        }
        rest ??= schema.Child("unevaluatedItems");
        if (prefix is null && rest is null) return;
        into.Items.Add(new ItemConstraints(prefix is { } first ? [.. List(first).Select((item, index) => first.At(index, item))] : [], rest));
    }

    private void ReadMembers(Schema schema, Constraints into)
    {
        Schema? known = schema.Child("properties"), patterns = schema.Child("patternProperties"), rest = schema.Child("additionalProperties") ?? schema.Child("unevaluatedProperties");
        if (known is null && patterns is null && rest is null) return;
        Dictionary<string, Schema> byName = [];
        if (known is { } properties)
        {
            RequireObject(properties);
            CountNamed(properties, properties.Element.GetPropertyCount());
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

    public static IEnumerable<Schema> Members(Schema at)
    {
        RequireObject(at);
        return at.Element.EnumerateObject().Select(property => at.At(property.Name, property.Value));
    }

    public static void RequireObject(Schema at)
    {
        if (at.Element.ValueKind != JsonValueKind.Object) throw new GrammarException(at.Path, $"is {Kind(at.Element)}; an object was expected");
    }

    public static IReadOnlyList<Schema> List(Schema schema, JsonProperty property)
    {
        Schema at = schema.At(property.Name, property.Value);
        IReadOnlyList<JsonElement> items = List(at);
        if (items.Count == 0) throw new GrammarException(at.Path, "is empty; at least one schema was expected");
        return [.. items.Select((item, index) => schema.At(property.Name, index, item))];
    }

    public static IReadOnlyList<JsonElement> List(Schema at) =>
        at.Element.ValueKind == JsonValueKind.Array ? [.. at.Element.EnumerateArray()] : throw new GrammarException(at.Path, $"is {Kind(at.Element)}; an array was expected");

    public static string Text(Schema at) =>
        at.Element.ValueKind == JsonValueKind.String ? at.Element.GetString()! : throw new GrammarException(at.Path, $"is {Kind(at.Element)}; a string was expected");

    public static IEnumerable<string> Texts(Schema at) => List(at).Select((item, index) => Text(at.At(index, item)));

    public static DecimalNumber Number(Schema at)
    {
        if (at.Element.ValueKind != JsonValueKind.Number) throw new GrammarException(at.Path, $"is {Kind(at.Element)}; a number was expected");
        return DecimalNumber.Read(at.Element) ?? throw new GrammarException(at.Path, "has too many digits");
    }

    public static int Count(Schema at)
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
