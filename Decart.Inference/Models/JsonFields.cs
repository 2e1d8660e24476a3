using System.Text.Json;

namespace Decart.Inference.Models;

/// <summary>The fields of a JSON object, such as a Hugging Face <c>config.json</c>; null counts as absent.</summary>
internal sealed class JsonFields : ConfigFields
{
    private readonly JsonElement _element;
    private readonly string _prefix;

    private readonly ICollection<string>? _warnings;

    /// <param name="file">The file.</param>
    /// <param name="element">The object.</param>
    /// <param name="prefix">What stands before the names of its fields in messages.</param>
    /// <param name="warnings">Collects what is ignored; null to drop it.</param>
    public JsonFields(string file, JsonElement element, string prefix = "", ICollection<string>? warnings = null) : base(file, warnings)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new ModelLoadException(file, prefix.Length == 0 ? null : prefix.TrimEnd('.'), $"expected a JSON object, found {element.ValueKind}");
        }
        _element = element;
        _prefix = prefix;
        _warnings = warnings;
    }

    /// <summary>The names of the fields that are there.</summary>
    public IEnumerable<string> Names => _element.EnumerateObject().Select(property => property.Name);

    public override string NameOf(string field) => _prefix + field;

    /// <summary>The fields of a nested object, or null when it is absent.</summary>
    public JsonFields? OptionalSection(string field) =>
        _element.TryGetProperty(field, out JsonElement section) && section.ValueKind != JsonValueKind.Null
            ? new JsonFields(File, section, NameOf(field) + ".", _warnings)
            : null;

    /// <summary>Whether the field is there with the value null, which turns off what is on by default.</summary>
    public bool IsNull(string field) => _element.TryGetProperty(field, out JsonElement value) && value.ValueKind == JsonValueKind.Null;

    protected override object? Find(string field) => _element.TryGetProperty(field, out JsonElement value) ? Value(value) : null;

    private static object? Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number => value.TryGetInt64(out long integer) ? (object)integer : value.GetDouble(),
        JsonValueKind.Array => value.EnumerateArray().Select(item => Value(item) ?? item).ToArray(),
        _ => value,
    };
}
