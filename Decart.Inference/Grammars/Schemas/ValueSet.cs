using System.Text.Json;

namespace Decart.Inference.Grammars.Schemas;

/// <summary>Values that a schema lists, to be asked for one.</summary>
internal sealed class ValueSet
{
    /// <summary>Arrays and objects that are compared one by one.</summary>
    private const int MaxComposed = 4096;

    private readonly HashSet<(JsonValueKind Kind, string? Text, DecimalNumber? Number)> _scalars = [];
    private readonly List<JsonElement> _composed = [];

    /// <exception cref="GrammarException">Too many of the values are arrays or objects.</exception>
    public ValueSet(IEnumerable<JsonElement> values)
    {
        foreach (JsonElement value in values)
        {
            if (IsComposed(value)) _composed.Add(value);
            else _scalars.Add(ScalarKey(value));
        }
        if (_composed.Count > MaxComposed) throw new GrammarException($"Values are compared with a list that has more than {MaxComposed} arrays and objects.");
    }

    public bool Contains(JsonElement value) =>
        IsComposed(value) ? _composed.Exists(other => JsonElement.DeepEquals(other, value)) : _scalars.Contains(ScalarKey(value));

    /// <summary>What is the same for the same value, which is neither an array nor an object.</summary>
    public static (JsonValueKind Kind, string? Text, DecimalNumber? Number) ScalarKey(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => (value.ValueKind, value.GetString(), null),
        JsonValueKind.Number when DecimalNumber.Read(value) is { } number => (value.ValueKind, null, number),
        _ => (value.ValueKind, value.GetRawText(), null),
    };

    private static bool IsComposed(JsonElement value) => value.ValueKind is JsonValueKind.Array or JsonValueKind.Object;
}
