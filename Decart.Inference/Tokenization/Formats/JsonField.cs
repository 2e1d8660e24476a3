using System.Text.Json;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tokenization;

/// <summary>A value in a JSON file and its location, for error messages.</summary>
internal readonly struct JsonField
{
    private readonly string _file;
    private readonly JsonElement _element;

    private JsonField(string file, string? path, JsonElement element)
    {
        _file = file;
        Path = path;
        _element = element;
    }

    /// <summary>The value's path, such as <c>model.merges[3]</c>; null for the whole file.</summary>
    public string? Path { get; }

    /// <summary>The file and the value's path, for a message.</summary>
    public string Location => Path is null ? _file : $"{_file}: {Path}";

    public JsonValueKind Kind => _element.ValueKind;

    /// <summary>Reads a file whose outermost value is an object.</summary>
    public static JsonField Read(string file) => new(file, null, JsonFile.ReadObject(file));

    /// <summary>A member that may be missing or null: then null.</summary>
    public JsonField? Optional(string name)
    {
        if (Kind != JsonValueKind.Object) throw Wrong("an object");
        return _element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? Child(name, value) : null;
    }

    /// <summary>A member that must be there.</summary>
    public JsonField Required(string name) =>
        Optional(name) ?? throw new ModelLoadException(_file, Path is null ? name : $"{Path}.{name}", "expected a value, found none");

    /// <summary>Whether the member is there, even when it is null.</summary>
    public bool Has(string name) => Kind == JsonValueKind.Object && _element.TryGetProperty(name, out _);

    public string Text() => Kind == JsonValueKind.String ? _element.GetString()! : throw Wrong("a string");

    public bool Flag() => Kind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong("true or false"),
    };

    public double Number() => Kind == JsonValueKind.Number && _element.TryGetDouble(out double value) ? value : throw Wrong("a number");

    /// <summary>An integer from 0 to a limit.</summary>
    public int Integer(int limit = int.MaxValue) =>
        Kind == JsonValueKind.Number && _element.TryGetInt64(out long value) && value >= 0 && value <= limit
            ? (int)value
            : throw Wrong($"an integer from 0 to {limit}");

    public string Text(string name) => Required(name).Text();

    public string? TextOrNull(string name) => Optional(name)?.Text();

    public bool Flag(string name, bool missing) => Optional(name)?.Flag() ?? missing;

    /// <summary>The elements of an array.</summary>
    public IEnumerable<JsonField> Items()
    {
        if (Kind != JsonValueKind.Array) throw Wrong("an array");
        return Enumerate(this);

        static IEnumerable<JsonField> Enumerate(JsonField field)
        {
            int index = 0;
            foreach (JsonElement element in field._element.EnumerateArray()) yield return new JsonField(field._file, $"{field.Path}[{index++}]", element);
        }
    }

    /// <summary>The elements of an array that is too long to name each; <see cref="Item"/> names one that is wrong.</summary>
    public JsonElement.ArrayEnumerator RawItems() => Kind == JsonValueKind.Array ? _element.EnumerateArray() : throw Wrong("an array");

    /// <summary>An element of <see cref="RawItems"/> with its place.</summary>
    public JsonField Item(int index, JsonElement element) => new(_file, $"{Path}[{index}]", element);

    /// <summary>The members of an object.</summary>
    public IEnumerable<(string Name, JsonField Value)> Members()
    {
        if (Kind != JsonValueKind.Object) throw Wrong("an object");
        return Enumerate(this);

        static IEnumerable<(string, JsonField)> Enumerate(JsonField field)
        {
            foreach (JsonProperty member in field._element.EnumerateObject()) yield return (member.Name, field.Member(member.Name, member.Value));
        }
    }

    /// <summary>The members of an object that is too long to name each; <see cref="Member"/> names one that is wrong.</summary>
    public JsonElement.ObjectEnumerator RawMembers() => Kind == JsonValueKind.Object ? _element.EnumerateObject() : throw Wrong("an object");

    /// <summary>A member of <see cref="RawMembers"/> with its place.</summary>
    public JsonField Member(string name, JsonElement element) => Child($"\"{name}\"", element);

    /// <summary>The exception that says what was expected here and what was found.</summary>
    public ModelLoadException Wrong(string expected, string? found = null, Exception? cause = null) =>
        new(_file, Path, $"expected {expected}, found {found ?? Describe()}", cause);

    private JsonField Child(string name, JsonElement element) => new(_file, Path is null ? name : $"{Path}.{name}", element);

    private string Describe()
    {
        switch (Kind)
        {
            case JsonValueKind.Object: return "an object";
            case JsonValueKind.Array: return $"an array of {_element.GetArrayLength()}";
            case JsonValueKind.Null: return "null";
            default:
                string text = _element.GetRawText();
                return Quoted.Value(text);
        }
    }
}
