using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Decart.Inference.Grammars.Json;
using Decart.Inference.Grammars.Languages;
using Decart.Inference.Grammars.Productions;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>Makes a grammar of a JSON schema (draft 2020-12, and what drafts 4 to 2019-09 wrote otherwise).</summary>
internal sealed class SchemaCompiler
{
    /// <summary>Regular expressions for names of members in one object: there are kinds of names for all that can match together.</summary>
    private const int MaxNamePatterns = 5;

    private readonly RuleSet _rules;
    private readonly LanguageTable _table;
    private readonly JsonSyntax _json;
    private readonly SchemaDocument _document;
    private readonly SchemaReader _reader;
    private readonly StringLanguage _strings;
    private readonly NumberLanguage _numbers;
    private readonly SchemaValues _values;
    private readonly Dictionary<string, Production> _compiled = [];
    private Production? _anyValue;

    public SchemaCompiler(RuleSet rules, JsonElement schema)
    {
        _rules = rules;
        _table = rules.Table;
        _json = new JsonSyntax(_table);
        _document = new SchemaDocument(schema);
        _reader = new SchemaReader(_document);
        _strings = new StringLanguage(_table, _json);
        _numbers = new NumberLanguage(_table);
        _values = new SchemaValues(_reader, _strings, _table);
    }

    /// <summary>The texts of the values that match the schema.</summary>
    /// <param name="objectsOnly">Whether the values must be objects besides.</param>
    public Production Compile(bool objectsOnly = false) => Sequence.Of(
        _rules, _rules.Terminal(_json.Space), Compile(objectsOnly ? [_document.Root, _document.Root.Derive("object", """{"type":"object"}""")] : [_document.Root]));

    /// <summary>The texts of the values that match all of some schemas.</summary>
    private Production Compile(IReadOnlyList<Schema> schemas)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (schemas.All(schema => schema is { Scope: SchemaScope.All, IsAnything: true })) return AnyValue();
        string key = string.Join('\n', schemas.Select(schema => schema.Key).Distinct().Order(StringComparer.Ordinal));
        if (_compiled.TryGetValue(key, out Production? known)) return known;
        Rule rule = _rules.Add($"#{schemas[0].Path}");
        _compiled.Add(key, new Reference(rule));
        try
        {
            rule.Body = Compile(_reader.Read(schemas));
        }
        catch (GrammarException error) when (error.Path is null)
        {
            throw new GrammarException(schemas[0].Path, error.Message.TrimEnd('.'), error);
        }
        // What refers to nothing need not be a rule: terminals next to each other become one.
        return rule.Body is Terminal ? _compiled[key] = rule.Body : _compiled[key];
    }

    private Production AnyValue() => _anyValue ??= _json.AnyValue(_rules);

    private Production Compile(Constraints constraints)
    {
        if (constraints.Alternatives is [var group, ..]) return CompileAlternatives(constraints, group);
        if (constraints.Values is { } values) return Choice.Of(_rules, values.Where(value => _values.AllowsOtherwise(constraints, value)).Select(Constant));
        List<Production> ways = [];
        if (constraints.Has(JsonTypes.Null)) ways.Add(Literal("null"));
        if (constraints.Has(JsonTypes.Boolean)) ways.Add(_rules.Terminal(_table.Union(_json.Text("true"), _json.Text("false"))));
        if (constraints.Has(JsonTypes.Number)) ways.Add(Terminal(Number(constraints)));
        if (constraints.Has(JsonTypes.String)) ways.Add(Terminal(_strings.Quoted(constraints)));
        if (constraints.Has(JsonTypes.Array)) ways.Add(Array(constraints));
        if (constraints.Has(JsonTypes.Object)) ways.Add(Object(constraints));
        return Choice.Of(_rules, ways);
    }

    private Production CompileAlternatives(Constraints constraints, Alternatives group)
    {
        IReadOnlyList<IReadOnlyList<Schema>> options = group.Schema.Scope == SchemaScope.OneOf ? Exclusive(constraints, group) : group.Options;
        return Choice.Of(_rules, options.Select(option => Compile(SchemaValues.Expand(constraints, option))));
    }

    /// <summary>The schemas of <c>oneOf</c>, each without what matches others: where that is not seen from the schemas it is excluded.</summary>
    private List<IReadOnlyList<Schema>> Exclusive(Constraints constraints, Alternatives group)
    {
        Constraints[] options = [.. group.Options.Select(option => _values.With(constraints, option))];
        List<Schema>[] others = [.. options.Select(_ => new List<Schema>())];
        for (int i = 0; i < options.Length; i++)
        {
            for (int j = 0; j < i; j++)
            {
                if (_values.AreApart(options[j], options[i])) continue;
                others[i].Add(Excluded(group, j, i));
                others[j].Add(Excluded(group, i, j));
            }
        }
        return [.. group.Options.Select((option, index) => (IReadOnlyList<Schema>)[.. option, .. others[index]])];
    }

    private Schema Excluded(Alternatives group, int excluded, int from)
    {
        Schema schema = group.Options[excluded][0] with { Scope = SchemaScope.Not };
        try
        {
            _reader.Read([schema]);
        }
        catch (GrammarException error)
        {
            throw new GrammarException(
                $"{group.Schema.Path}/oneOf",
                $"has the schemas {from} and {excluded}, which a value may match both ({error.Path}); give them different types, or a required property with different constants, or use anyOf",
                error);
        }
        return schema;
    }

    private Language Number(Constraints constraints)
    {
        NumberBounds bounds = constraints.Numbers;
        foreach ((string format, _) in constraints.Formats)
        {
            if (!bounds.IsInteger || !format.EndsWith("int32", StringComparison.Ordinal)) continue;
            bounds.RaiseMin(new NumberBound(new DecimalNumber(format[0] == 'u' ? 0 : int.MinValue, 0), false));
            bounds.LowerMax(new NumberBound(new DecimalNumber(format[0] == 'u' ? uint.MaxValue : int.MaxValue, 0), false));
        }
        if (bounds is { IsInteger: true, IsFraction: true }) return _table.Nothing;
        if (bounds.IsInteger) return _numbers.Integers(bounds);
        return bounds is { Min: null, Max: null, Multiples: [], IsFraction: false } ? _json.Number : _numbers.Decimals(bounds);
    }

    /// <summary>A terminal. Whether it has texts is asked for at once, because that may be too much: then it is known where in the schema.</summary>
    private Terminal Terminal(Language language)
    {
        _table.Distances.Of(language);
        return _rules.Terminal(language);
    }

    private Terminal Literal(string text) => _rules.Terminal(_json.Text(text));

    /// <summary>One value.</summary>
    private Production Constant(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Array:
                Production[] items = [.. value.EnumerateArray().Select(Constant)];
                return _json.Array(_rules, items, _rules.Terminal(_table.Nothing), items.Length, items.Length);
            case JsonValueKind.Object:
                return _json.Object(_rules, value.EnumerateObject().DistinctBy(member => member.Name).Select(member => Member(member.Name, Constant(member.Value), true, [])), []);
            case JsonValueKind.String:
                return _rules.Terminal(_table.Literal(ConstantText(value)));
            case JsonValueKind.Number when DecimalNumber.Read(value) is { IsInteger: true } number:
                return _rules.Terminal(_table.Union(_json.Text(value.GetRawText()), _json.Text(number.Digits.ToString(CultureInfo.InvariantCulture))));
            default:
                return Literal(value.GetRawText());
        }
    }

    /// <summary>One value that is neither an array nor an object.</summary>
    private static byte[] ConstantText(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? SchemaValues.StringText(value.GetString()!) : Encoding.UTF8.GetBytes(value.GetRawText());

    private Production Array(Constraints constraints)
    {
        int min = constraints.MinItems, max = constraints.MaxItems;
        int prefix = constraints.Items.Select(items => items.Prefix.Count).DefaultIfEmpty().Max();
        // Items that nothing matches end the array.
        for (int i = 0; i <= prefix && i < max; i++)
        {
            if (SchemaValues.OfItem(constraints, i) is { Count: > 0 } schemas && _reader.Read(schemas).Types == JsonTypes.None) max = i;
        }
        if (min > max) return _rules.Terminal(_table.Nothing);
        if (constraints.UniqueItems is not null && max > 1) return UniqueItems(constraints, min, max);
        Production[] first = [.. Enumerable.Range(0, Math.Min(prefix, max)).Select(index => Compile(SchemaValues.OfItem(constraints, index)))];
        Production rest = first.Length == max ? _rules.Terminal(_table.Nothing) : Compile(SchemaValues.OfItem(constraints, prefix));
        return _json.Array(_rules, first, rest, min, max == int.MaxValue ? Language.Unbounded : max);
    }

    /// <summary>An array of items that are all different: strings, integers, and what can be listed.</summary>
    private Production UniqueItems(Constraints constraints, int min, int max)
    {
        Constraints items = _reader.Read(SchemaValues.OfItem(constraints, 0));
        const JsonTypes Composed = JsonTypes.Array | JsonTypes.Object;
        bool isListed = items.Values is not null;
        bool isSupported = constraints.Items.TrueForAll(its => its.Prefix.Count == 0) && items.Alternatives.Count == 0
            && (isListed ? items.Values!.TrueForAll(value => value.ValueKind is not (JsonValueKind.Array or JsonValueKind.Object)) : !items.Has(Composed) && (!items.Has(JsonTypes.Number) || items.Numbers.IsInteger));
        if (!isSupported) throw new GrammarException(constraints.UniqueItems!, "is supported for items that are strings, integers, booleans or null, or listed by enum");
        if (isListed)
        {
            IEnumerable<JsonElement> different = items.Values!.Where(value => _values.AllowsOtherwise(items, value)).DistinctBy(ValueSet.ScalarKey);
            return _json.UniqueItems(_rules, different.Select(ConstantText), [], min, max);
        }
        List<byte[]> constants = [];
        if (items.Has(JsonTypes.Null)) constants.Add("null"u8.ToArray());
        if (items.Has(JsonTypes.Boolean)) constants.AddRange(["true"u8.ToArray(), "false"u8.ToArray()]);
        List<Language> others = [];
        if (items.Has(JsonTypes.String)) others.Add(_json.Quoted(_strings.Content(items)));
        if (items.Has(JsonTypes.Number)) others.Add(Number(items));
        bool isOpen = items is { Patterns: [], ExcludedPatterns: [], Formats: [], MaxLength: int.MaxValue, Numbers: { Min: null, Max: null } };
        if (!isOpen && others.Count > 0 && min > 1) throw new GrammarException($"{constraints.Path}/minItems", "is not supported where all items must be different and are limited otherwise");
        return _json.UniqueItems(_rules, constants, others, min, max);
    }

    private Production Object(Constraints constraints)
    {
        string[] names = [.. constraints.KnownNames];
        Dictionary<string, int> indices = names.Select((name, index) => (name, index)).ToDictionary(entry => entry.name, entry => entry.index);
        ObjectMember[] members = [.. names.Select(name => Member(
            name,
            _values.AllowsName(constraints, name) ? Compile(_values.OfMember(constraints, name)) : _rules.Terminal(_table.Nothing),
            constraints.Required.Contains(name),
            constraints.DependentRequired.TryGetValue(name, out HashSet<string>? required) ? [.. required.Select(its => indices[its])] : []))];
        (ObjectRest[] rest, bool isOpen) = Rest(constraints, names);
        if (!isOpen && rest.Length > 0 && constraints.MinProperties > Math.Max(1, CountPossible(constraints, names)))
            throw new GrammarException($"{constraints.Path}/minProperties", "is not supported where names of members must match a regular expression");
        if (constraints.MinProperties > 0 && constraints.MaxProperties < names.Length && NeedEachOther(members))
            throw new GrammarException($"{constraints.Path}/minProperties", "is not supported with maxProperties where members need each other");
        return _json.Object(_rules, members, rest, constraints.MinProperties, constraints.MaxProperties);
    }

    /// <summary>How many of the known names a member can have at all.</summary>
    private int CountPossible(Constraints constraints, string[] names)
    {
        HashSet<string> possible = [.. names.Where(name => _values.AllowsName(constraints, name) && _reader.Read(_values.OfMember(constraints, name)).Types != JsonTypes.None)];
        // Those that need one that cannot be there, and those that need these.
        while (possible.RemoveWhere(name => constraints.DependentRequired.TryGetValue(name, out HashSet<string>? required) && !possible.IsSupersetOf(required)) > 0) { }
        return possible.Count;
    }

    /// <summary>Whether some members can come together only: of others any number can, one after the other.</summary>
    private static bool NeedEachOther(ObjectMember[] members)
    {
        HashSet<int> had = [];
        // Those whose needs are met, again and again, until there are no more.
        while (Enumerable.Range(0, members.Length).Where(index => !had.Contains(index) && (members[index].IsRequired || members[index].Requires.All(required => required == index || had.Contains(required)))).ToArray() is { Length: > 0 } next) had.UnionWith(next);
        return had.Count < members.Length;
    }

    private static ObjectMember Member(string name, Production value, bool isRequired, int[] requires) =>
        new(SchemaValues.StringText(name), value, isRequired, requires);

    /// <summary>The members with other names than the known ones, by the regular expressions that their names match.</summary>
    private (ObjectRest[] Kinds, bool IsOpen) Rest(Constraints constraints, string[] names)
    {
        (string Pattern, Schema Schema)[] patterns = [.. constraints.Members.SelectMany(members => members.Patterns).DistinctBy(pattern => pattern.Schema.Path)];
        if (patterns.Length > MaxNamePatterns)
            throw new GrammarException(patterns[MaxNamePatterns].Schema.Path, $"is one of more than {MaxNamePatterns} regular expressions for names of members");
        Language allowed = _table.Intersect([.. constraints.Names.Select(schema => _values.Texts(_reader.Read([schema]))), _table.Repeat(_json.PlainCharacter, 0)]);
        bool isOpen = patterns.Length == 0 && constraints.Names.Count == 0;
        bool isSeenAtEnd = isOpen && _table.Distances.HasAllBytes;
        Language unknown = isSeenAtEnd ? _table.Anything : _table.Complement(_table.Literals(names.Select(SchemaValues.StringText)));
        List<ObjectRest> rest = [];
        for (int matching = 0; matching < 1 << patterns.Length; matching++)
        {
            if (Schemas(constraints, patterns, matching) is not { } schemas) continue;
            Language key = _table.Intersect(_json.Quoted(Matching(allowed, patterns, matching)), unknown);
            if (HasText(key, patterns)) rest.Add(new ObjectRest(key, Compile(schemas), isSeenAtEnd));
        }
        return ([.. rest], isOpen);
    }

    /// <summary>Those of some names that match certain ones of the regular expressions, and no others of them.</summary>
    private Language Matching(Language names, (string Pattern, Schema Schema)[] patterns, int matching)
    {
        for (int i = 0; i < patterns.Length; i++)
        {
            Language matches = _strings.OfPattern(patterns[i].Pattern, patterns[i].Schema.Path);
            names = _table.Intersect(names, (matching >> i & 1) != 0 ? matches : _table.Complement(matches));
        }
        return names;
    }

    private bool HasText(Language names, (string Pattern, Schema Schema)[] patterns)
    {
        try
        {
            return _table.Distances.Of(names) != Distances.Infinite;
        }
        catch (GrammarException error) when (error.Path is null && patterns.Length > 0)
        {
            throw new GrammarException(patterns[^1].Schema.Path, error.Message.TrimEnd('.'), error);
        }
    }

    /// <summary>The schemas of members whose names match certain ones of the regular expressions; null where there can be no such members.</summary>
    private static List<Schema>? Schemas(Constraints constraints, (string Pattern, Schema Schema)[] patterns, int matching)
    {
        List<Schema> schemas = [];
        foreach (MemberConstraints members in constraints.Members)
        {
            Schema[] its = [.. members.Patterns.Select(pattern => pattern.Schema).Where(schema => IsMatching(schema.Path))];
            schemas.AddRange(its);
            if (its.Length == 0 && members.Rest is { } other) schemas.Add(other);
        }
        return schemas.Exists(schema => schema.Element.ValueKind == JsonValueKind.False) ? null : schemas;

        bool IsMatching(string path) => (matching >> System.Array.FindIndex(patterns, pattern => pattern.Schema.Path == path) & 1) != 0;
    }
}
