using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
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

    /// <summary>What matches it is excluded.</summary>
    Not,

    /// <summary>Its <c>if</c>, <c>then</c> and <c>else</c>.</summary>
    If,

    /// <summary>It counts where the value is an object that has the member it is named for.</summary>
    Dependent,

    /// <summary>It is a regular expression, which a string must not match.</summary>
    NotPattern,

    /// <summary>It is a string, which the value must not be.</summary>
    NotText,

    /// <summary>Numbers must not be integers.</summary>
    Fraction,
}

/// <summary>A schema, or a part of one.</summary>
/// <param name="Element">The schema.</param>
/// <param name="Path">Where it stands, as a JSON pointer.</param>
/// <param name="Scope">What of it counts.</param>
/// <param name="Origin">Which schema it is of those that were made of the schema at this place; empty for the one that stands there.</param>
internal readonly record struct Schema(JsonElement Element, string Path, SchemaScope Scope = SchemaScope.All, string Origin = "")
{
    public string Key => $"{Scope} {Path} {Origin}";

    public Schema At(string keyword, JsonElement element) => new(element, $"{Path}/{SchemaDocument.Escape(keyword)}", Origin: Origin);

    public Schema At(string keyword, int index, JsonElement element) => At(keyword, element).At(index, element);

    public Schema At(int index, JsonElement element) => new(element, string.Create(CultureInfo.InvariantCulture, $"{Path}/{index}"), Origin: Origin);

    /// <summary>The schema of a keyword; null where there is none.</summary>
    public Schema? Child(string keyword) => Element.ValueKind == JsonValueKind.Object && Element.TryGetProperty(keyword, out JsonElement child) ? At(keyword, child) : null;

    /// <summary>Whether anything matches it.</summary>
    public bool IsAnything => Element.ValueKind == JsonValueKind.True || (Element.ValueKind == JsonValueKind.Object && !Element.EnumerateObject().Any());

    /// <summary>Another schema that was made of this one.</summary>
    /// <param name="origin">Tells it from others that are.</param>
    /// <param name="json">The schema.</param>
    public Schema Derive(string origin, string json)
    {
        using JsonDocument derived = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 2 * SchemaDocument.MaxNesting });
        return new Schema(derived.RootElement.Clone(), Path, Origin: $"{Origin} {origin}");
    }
}

/// <summary>A whole schema, and what its parts refer to.</summary>
internal sealed class SchemaDocument
{
    public const int MaxNesting = 200;

    private readonly Dictionary<string, Schema> _byUri = [];
    private readonly string _base;

    public SchemaDocument(JsonElement root)
    {
        RequireText(root);
        Root = new Schema(root, "");
        _base = IdOf(root) ?? "";
        Index(Root, _base, 0);
    }

    public Schema Root { get; }

    public static string Escape(string name) => name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);

    /// <summary>A name as JSON writes it.</summary>
    public static string Quote(string name) => Encoding.UTF8.GetString(SchemaValues.StringText(name));

    public static string Unescape(string step) => step.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);

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

    /// <summary>All names and strings must be Unicode: JSON can escape half of a surrogate pair.</summary>
    private static void RequireText(JsonElement element)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        try
        {
            if (element.ValueKind == JsonValueKind.String) element.GetString();
            if (element.ValueKind == JsonValueKind.Object) foreach (JsonProperty property in element.EnumerateObject()) GC.KeepAlive(property.Name);
        }
        catch (InvalidOperationException error)
        {
            throw new GrammarException("The schema has a text with half a surrogate pair, which is no Unicode.", error);
        }
        if (element.ValueKind == JsonValueKind.Object) foreach (JsonProperty property in element.EnumerateObject()) RequireText(property.Value);
        if (element.ValueKind == JsonValueKind.Array) foreach (JsonElement item in element.EnumerateArray()) RequireText(item);
    }

    private static GrammarException Missing(string reference, string path) => new(path, $"refers to {Checkpoints.Quoted.Value(reference)}, where there is no schema");

    private static Schema Follow(Schema start, string pointer, string reference, string path)
    {
        JsonElement element = start.Element;
        foreach (string step in pointer[1..].Split('/'))
        {
            string name = Unescape(step);
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
