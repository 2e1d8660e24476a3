using System.Globalization;
using System.Text.Json;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>How much of a schema's keywords counts.</summary>
internal enum SchemaScope
{
    /// <summary>All of them.</summary>
    All,

    /// <summary>Those that say something of the value itself, not the schemas that it must match as well.</summary>
    Own,

    /// <summary>One of the schemas of <c>anyOf</c>.</summary>
    AnyOf,

    /// <summary>One of the schemas of <c>oneOf</c>.</summary>
    OneOf,
}

/// <summary>A schema, or a part of one.</summary>
/// <param name="Element">The schema.</param>
/// <param name="Path">Where it stands, as a JSON pointer.</param>
/// <param name="Scope">What of it counts.</param>
internal readonly record struct Schema(JsonElement Element, string Path, SchemaScope Scope = SchemaScope.All)
{
    public string Key => $"{Scope} {Path}";

    public Schema At(string keyword, JsonElement element) => new(element, $"{Path}/{SchemaDocument.Escape(keyword)}");

    public Schema At(string keyword, int index, JsonElement element) => new(element, string.Create(CultureInfo.InvariantCulture, $"{Path}/{keyword}/{index}"));
}

/// <summary>A whole schema, and what its parts refer to.</summary>
internal sealed class SchemaDocument
{
    private const int MaxNesting = 200;

    private readonly Dictionary<string, Schema> _byUri = [];
    private readonly string _base;

    public SchemaDocument(JsonElement root)
    {
        Root = new Schema(root, "");
        _base = IdOf(root) ?? "";
        Index(Root, _base, 0);
    }

    public Schema Root { get; }

    public static string Escape(string name) => name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);

    /// <summary>The schema that a reference names.</summary>
    /// <param name="reference">The reference.</param>
    /// <param name="path">Where it stands.</param>
    public Schema Resolve(string reference, string path)
    {
        int hash = reference.IndexOf('#', StringComparison.Ordinal);
        string document = hash < 0 ? reference : reference[..hash], fragment = hash < 0 ? "" : Uri.UnescapeDataString(reference[(hash + 1)..]);
        Schema start = Root;
        if (document.Length > 0 && !_byUri.TryGetValue(Join(BaseOf(path), document), out start) && !_byUri.TryGetValue(document, out start))
            throw new GrammarException(path, $"refers to {Checkpoints.Quoted.Value(reference)}, which is not in the schema; other documents are not fetched");
        if (document.Length == 0 && BaseSchema(path) is { } enclosing) start = enclosing;
        if (fragment.Length == 0) return start;
        if (fragment[0] == '/') return Follow(start, fragment, reference, path);
        return _byUri.TryGetValue($"{BaseOf(start.Path)}#{fragment}", out Schema anchored) ? anchored : throw Missing(reference, path);
    }

    private static GrammarException Missing(string reference, string path) => new(path, $"refers to {Checkpoints.Quoted.Value(reference)}, where there is no schema");

    private static Schema Follow(Schema start, string pointer, string reference, string path)
    {
        JsonElement element = start.Element;
        foreach (string step in pointer[1..].Split('/'))
        {
            string name = step.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            bool found = element.ValueKind switch
            {
                JsonValueKind.Object => element.TryGetProperty(name, out element),
                JsonValueKind.Array => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && TryGetItem(ref element, index),
                _ => false,
            };
            if (!found) throw Missing(reference, path);
        }
        return new Schema(element, start.Path + pointer);

        static bool TryGetItem(ref JsonElement array, int index)
        {
            if (index >= array.GetArrayLength()) return false;
            array = array[index];
            return true;
        }
    }

    private static string? IdOf(JsonElement schema) =>
        schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("$id", out JsonElement id) && id.ValueKind == JsonValueKind.String
            ? id.GetString()!.TrimEnd('#')
            : null;

    /// <summary>Notes what can be referred to by another name than its place.</summary>
    private void Index(Schema schema, string baseUri, int nesting)
    {
        if (nesting > MaxNesting) throw new GrammarException(schema.Path, $"nests more than {MaxNesting} deep");
        if (schema.Element.ValueKind == JsonValueKind.Array)
        {
            int index = 0;
            foreach (JsonElement item in schema.Element.EnumerateArray())
                Index(new Schema(item, string.Create(CultureInfo.InvariantCulture, $"{schema.Path}/{index++}")), baseUri, nesting + 1);
        }
        if (schema.Element.ValueKind != JsonValueKind.Object) return;
        if (IdOf(schema.Element) is { } id)
        {
            baseUri = Join(baseUri, id);
            _byUri.TryAdd(baseUri, schema);
        }
        foreach (string keyword in (string[])["$anchor", "$dynamicAnchor"])
        {
            if (schema.Element.TryGetProperty(keyword, out JsonElement anchor) && anchor.ValueKind == JsonValueKind.String)
                _byUri.TryAdd($"{baseUri}#{anchor.GetString()}", schema);
        }
        foreach (JsonProperty property in schema.Element.EnumerateObject())
        {
            if (property.Name is not ("const" or "enum" or "default" or "examples")) Index(schema.At(property.Name, property.Value), baseUri, nesting + 1);
        }
    }

    /// <summary>The innermost schema around a place that has a URI of its own.</summary>
    private Schema? BaseSchema(string path)
    {
        Schema? innermost = null;
        foreach (Schema schema in _byUri.Values)
        {
            bool encloses = IdOf(schema.Element) is not null && (path == schema.Path || path.StartsWith(schema.Path + "/", StringComparison.Ordinal));
            if (encloses && (innermost is not { } inner || schema.Path.Length > inner.Path.Length)) innermost = schema;
        }
        return innermost;
    }

    private string BaseOf(string path) => BaseSchema(path) is { } schema ? _byUri.First(entry => entry.Value.Path == schema.Path && !entry.Key.Contains('#')).Key : _base;

    private static string Join(string baseUri, string reference)
    {
        if (Uri.TryCreate(baseUri, UriKind.Absolute, out Uri? absolute) && Uri.TryCreate(absolute, reference, out Uri? joined)) return joined.ToString().TrimEnd('#');
        return reference;
    }
}
