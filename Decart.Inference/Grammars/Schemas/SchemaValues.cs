using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Decart.Inference.Grammars.Json;
using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>Whether single values match schemas, and whether schemas exclude each other.</summary>
internal sealed class SchemaValues(SchemaReader reader, StringLanguage strings, LanguageTable table)
{
    /// <summary>How deep schemas are compared.</summary>
    private const int MaxDepth = 8;

    /// <summary>Whether a value matches schemas.</summary>
    public bool Allows(Constraints constraints, JsonElement value) =>
        constraints.Listed?.Contains(value) is not false && AllowsOtherwise(constraints, value);

    /// <summary>Whether a value matches what schemas say besides listing values.</summary>
    public bool AllowsOtherwise(Constraints constraints, JsonElement value)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        bool allows = value.ValueKind switch
        {
            JsonValueKind.Null => constraints.Has(JsonTypes.Null),
            JsonValueKind.True or JsonValueKind.False => constraints.Has(JsonTypes.Boolean),
            JsonValueKind.Number => constraints.Has(JsonTypes.Number) && (DecimalNumber.Read(value) is not { } number || constraints.Numbers.Allows(number)),
            JsonValueKind.String => constraints.Has(JsonTypes.String) && Allows(constraints, value.GetString()!),
            JsonValueKind.Array => constraints.Has(JsonTypes.Array) && AllowsArray(constraints, value),
            _ => constraints.Has(JsonTypes.Object) && AllowsObject(constraints, value),
        };
        return allows && constraints.Alternatives.TrueForAll(group => AllowsOne(group, value));
    }

    /// <summary>Whether a string matches schemas.</summary>
    public bool Allows(Constraints constraints, string text)
    {
        if (!constraints.Has(JsonTypes.String)) return false;
        return Contains(strings.Content(constraints), text);
    }

    /// <summary>Whether the name of a member is one that schemas allow.</summary>
    public bool AllowsName(Constraints constraints, string name) => constraints.Names.TrueForAll(schema => Contains(Texts(reader.Read([schema])), name));

    /// <summary>The strings that match schemas, without their quotes.</summary>
    public Language Texts(Constraints constraints)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (constraints.Alternatives is [var group, ..])
        {
            Language[] options = [.. group.Options.Select(option => Texts(With(constraints, option)))];
            if (group.Schema.Scope != SchemaScope.OneOf) return table.Union(options);
            return table.Union(options.Select((option, index) => table.Intersect(option, table.Complement(table.Union(options.Where((_, other) => other != index))))));
        }
        if (!constraints.Has(JsonTypes.String)) return table.Nothing;
        Language content = strings.Content(constraints);
        if (constraints.Values is not { } values) return content;
        return table.Intersect(content, table.Literals(values.Where(value => value.ValueKind == JsonValueKind.String).Select(value => StringLanguage.Written(value.GetString()!))));
    }

    /// <summary>The schemas of a member; none for anything.</summary>
    public IReadOnlyList<Schema> OfMember(Constraints constraints, string name)
    {
        List<Schema> schemas = [];
        foreach (MemberConstraints members in constraints.Members)
        {
            int before = schemas.Count;
            if (members.Known.TryGetValue(name, out Schema known)) schemas.Add(known);
            schemas.AddRange(members.Patterns.Where(pattern => Matches(pattern.Pattern, pattern.Schema.Path, name)).Select(pattern => pattern.Schema));
            if (schemas.Count == before && members.Rest is { } rest) schemas.Add(rest);
        }
        return schemas;
    }

    /// <summary>The schemas of an item; none for anything.</summary>
    public static IReadOnlyList<Schema> OfItem(Constraints constraints, int index) => [.. constraints.Items.Select(items => items.Of(index)).OfType<Schema>()];

    /// <summary>Whether it is certain that no value matches both.</summary>
    public bool AreApart(Constraints first, Constraints second, int depth = 0)
    {
        if (first.Values is { } mine) return !mine.Exists(value => Allows(first, value) && Allows(second, value));
        if (second.Values is { } its) return !its.Exists(value => Allows(first, value) && Allows(second, value));
        if (depth == MaxDepth) return false;
        if (first.Alternatives is [var group, ..]) return group.Options.All(option => AreApart(With(first, option), second, depth + 1));
        if (second.Alternatives.Count > 0) return AreApart(second, first, depth + 1);
        JsonTypes common = first.Types & second.Types;
        return !common.HasFlag(JsonTypes.Null) && !common.HasFlag(JsonTypes.Boolean)
            && (!common.HasFlag(JsonTypes.Number) || first.Numbers.AreApartFrom(second.Numbers))
            && (!common.HasFlag(JsonTypes.String) || AreStringsApart(first, second))
            && (!common.HasFlag(JsonTypes.Array) || AreArraysApart(first, second, depth))
            && (!common.HasFlag(JsonTypes.Object) || AreObjectsApart(first, second, depth));
    }

    /// <summary>What the schemas say together with one of their alternatives instead of the first group of them.</summary>
    public Constraints With(Constraints constraints, IReadOnlyList<Schema> option) => reader.Read(Expand(constraints, option));

    /// <summary>The schemas that say what some others do, with one of the alternatives instead of their first group.</summary>
    public static IReadOnlyList<Schema> Expand(Constraints constraints, IReadOnlyList<Schema> option) =>
        [.. option, .. constraints.Own, .. constraints.Alternatives.Skip(1).Select(group => group.Schema)];

    private bool AllowsOne(Alternatives group, JsonElement value)
    {
        int matching = group.Options.Count(option => AllowsAll(option, value));
        return group.Schema.Scope == SchemaScope.OneOf ? matching == 1 : matching > 0;
    }

    private bool AllowsArray(Constraints constraints, JsonElement value)
    {
        int count = value.GetArrayLength();
        if (count < constraints.MinItems || count > constraints.MaxItems) return false;
        for (int i = 0; i < count; i++)
        {
            if (!AllowsAll(OfItem(constraints, i), value[i])) return false;
        }
        return constraints.UniqueItems is null || !Enumerable.Range(1, Math.Max(0, count - 1)).Any(i => Enumerable.Range(0, i).Any(j => JsonElement.DeepEquals(value[i], value[j])));
    }

    private bool AllowsObject(Constraints constraints, JsonElement value)
    {
        HashSet<string> names = [.. value.EnumerateObject().Select(member => member.Name)];
        return names.Count >= constraints.MinProperties && names.Count <= constraints.MaxProperties
            && constraints.Required.IsSubsetOf(names)
            && constraints.DependentRequired.All(entry => !names.Contains(entry.Key) || entry.Value.IsSubsetOf(names))
            && value.EnumerateObject().All(member => AllowsName(constraints, member.Name) && AllowsAll(OfMember(constraints, member.Name), member.Value));
    }

    private bool AllowsAll(IReadOnlyList<Schema> schemas, JsonElement value) => schemas.Count == 0 || Allows(reader.Read(schemas), value);

    private bool Matches(string pattern, string path, string name) => Contains(strings.OfPattern(pattern, path), name);

    private bool Contains(Language language, string text)
    {
        foreach (byte value in StringLanguage.Written(text)) language = table.After(language, value);
        return language.IsNullable;
    }

    /// <summary>A string as <see cref="JsonSyntax.Character"/> writes it, quotes included.</summary>
    public static byte[] StringText(string text)
    {
        StringBuilder written = new("\"");
        foreach (Rune rune in text.EnumerateRunes()) JsonSyntax.AppendCharacter(written, rune);
        return Encoding.UTF8.GetBytes(written.Append('"').ToString());
    }

    private bool AreStringsApart(Constraints first, Constraints second) =>
        table.Distances.Of(table.Intersect(strings.Content(first), strings.Content(second))) == Distances.Infinite;

    private bool AreArraysApart(Constraints first, Constraints second, int depth)
    {
        if (first.MaxItems < second.MinItems || second.MaxItems < first.MinItems) return true;
        int both = Math.Min(Math.Max(first.MinItems, second.MinItems), MaxDepth);
        return Enumerable.Range(0, both).Any(index => AreApart(OfItem(first, index), OfItem(second, index), depth));
    }

    private bool AreObjectsApart(Constraints first, Constraints second, int depth) =>
        first.MaxProperties < second.MinProperties || second.MaxProperties < first.MinProperties
        || first.Required.Union(second.Required).Any(name => AreApart(OfMember(first, name), OfMember(second, name), depth));

    private bool AreApart(IReadOnlyList<Schema> first, IReadOnlyList<Schema> second, int depth)
    {
        if (first.Count == 0 && second.Count == 0) return false;
        if (first.Count == 0) return reader.Read(second).Types == JsonTypes.None;
        if (second.Count == 0) return reader.Read(first).Types == JsonTypes.None;
        return AreApart(reader.Read(first), reader.Read(second), depth + 1);
    }
}
