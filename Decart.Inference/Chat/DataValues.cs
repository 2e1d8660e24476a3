using System.Collections;
using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Decart.Inference.Chat.Jinja;

namespace Decart.Inference.Chat;

/// <summary>Makes values for a template of what callers give: every text in them is data, which no template can turn into control tokens.</summary>
internal static class DataValues
{
    private const int Deepest = 100;

    /// <summary>The value of a JSON element.</summary>
    /// <exception cref="ArgumentException">It is nested too deep.</exception>
    public static Value From(JsonElement element, int depth = 0)
    {
        RequireDepth(depth);
        return element.ValueKind switch
        {
            JsonValueKind.String => StringValue.FromData(element.GetString()!),
            JsonValueKind.Number => FromNumber(element.GetRawText()),
            JsonValueKind.True => BooleanValue.True,
            JsonValueKind.False => BooleanValue.False,
            JsonValueKind.Array => new ListValue([.. element.EnumerateArray().Select(item => From(item, depth + 1))]),
            JsonValueKind.Object => FromMembers(element.EnumerateObject().Select(member => KeyValuePair.Create(member.Name, From(member.Value, depth + 1)))),
            _ => NoneValue.Instance,
        };
    }

    /// <summary>The value of an object that stands for JSON: a primitive, a text, a list, a dictionary with texts as keys, or JSON itself.</summary>
    /// <exception cref="ArgumentException">The object is of another kind, or nested too deep.</exception>
    public static Value From(object? value, int depth = 0)
    {
        RequireDepth(depth);
        return value switch
        {
            null => NoneValue.Instance,
            Value known => known,
            string text => StringValue.FromData(text),
            bool boolean => BooleanValue.Of(boolean),
            char character => StringValue.FromData(character.ToString()),
            sbyte or byte or short or ushort or int or uint or long => new IntegerValue(((IConvertible)value).ToInt64(CultureInfo.InvariantCulture)),
            ulong number => new IntegerValue(number),
            BigInteger number => new IntegerValue(number),
            float number => new FloatValue(double.Parse(number.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)),
            double number => new FloatValue(number),
            decimal number => FromNumber(number.ToString(CultureInfo.InvariantCulture)),
            JsonElement element => From(element, depth),
            JsonDocument document => From(document.RootElement, depth),
            JsonNode node => From(JsonElement.Parse(node.ToJsonString()), depth),
            DateTime time => StringValue.FromData(time.ToString("O", CultureInfo.InvariantCulture)),
            DateTimeOffset time => StringValue.FromData(time.ToString("O", CultureInfo.InvariantCulture)),
            Guid or Uri or Enum or Version or TimeSpan or DateOnly or TimeOnly => StringValue.FromData(string.Create(CultureInfo.InvariantCulture, $"{value}")),
            IEnumerable<KeyValuePair<string, object?>> members => FromMembers(members.Select(member => KeyValuePair.Create(member.Key, From(member.Value, depth + 1)))),
            IEnumerable<KeyValuePair<string, string>> members => FromMembers(members.Select(member => KeyValuePair.Create(member.Key, From(member.Value, depth + 1)))),
            IDictionary dictionary => FromDictionary(dictionary, depth + 1),
            IEnumerable items => new ListValue([.. items.Cast<object?>().Select(item => From(item, depth + 1))]),
            _ => throw new ArgumentException(
                $"A template cannot be given a {value.GetType().Name}: expected a primitive, a text, a list, a dictionary with texts as keys, or JSON.", nameof(value)),
        };
    }

    /// <summary>A dictionary whose keys the caller of this method chose.</summary>
    public static DictionaryValue Record(params IEnumerable<(string Name, Value? Value)> members)
    {
        OrderedDictionary<Value, Value> entries = DictionaryValue.Create();
        foreach ((string name, Value? value) in members)
        {
            if (value is not null) entries[new StringValue(name)] = value;
        }
        return new DictionaryValue(entries);
    }

    /// <summary>The JSON of a value, all of it data.</summary>
    public static StringValue ToJson(Value value)
    {
        RenderBudget budget = RenderBudget.For(0, CountCharacters([value]));
        Rendering rendering = new(budget, TimeProvider.System, new Dictionary<string, Value>());
        return StringValue.FromData(JsonWriter.Write(value, rendering).Text);
    }

    /// <summary>How many characters the texts in values have.</summary>
    public static long CountCharacters(IEnumerable<Value> values)
    {
        return values.Sum(value => value switch
        {
            StringValue text => text.Text.Length,
            ListValue list => CountCharacters(list.Values),
            DictionaryValue dictionary => CountCharacters(dictionary.Entries.Keys) + CountCharacters(dictionary.Entries.Values),
            _ => 0,
        });
    }

    private static void RequireDepth(int depth)
    {
        if (depth > Deepest) throw new ArgumentException($"Values for a template may be nested {Deepest} deep; what was given is deeper.");
    }

    private static DictionaryValue FromMembers(IEnumerable<KeyValuePair<string, Value>> members)
    {
        OrderedDictionary<Value, Value> entries = DictionaryValue.Create();
        foreach ((string name, Value value) in members) entries[StringValue.FromData(name)] = value;
        return new DictionaryValue(entries);
    }

    private static DictionaryValue FromDictionary(IDictionary dictionary, int depth) =>
        FromMembers(dictionary.Cast<DictionaryEntry>().Select(entry => KeyValuePair.Create(Convert.ToString(entry.Key, CultureInfo.InvariantCulture)!, From(entry.Value, depth))));

    /// <summary>A number of JSON: an integer where it is written as one.</summary>
    private static Value FromNumber(string text) => text.AsSpan().IndexOfAny(".eE") < 0 && text.Length < RenderBudget.LargestInteger / 4
        ? new IntegerValue(BigInteger.Parse(text, CultureInfo.InvariantCulture))
        : new FloatValue(double.Parse(text, CultureInfo.InvariantCulture));
}
