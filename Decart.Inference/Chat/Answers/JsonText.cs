using System.Text;
using System.Text.Json;

namespace Decart.Inference.Chat.Answers;

/// <summary>Reads JSON from what a model wrote.</summary>
internal static class JsonText
{
    /// <summary>Reads a text that is one JSON value.</summary>
    public static bool TryParse(string text, out JsonElement value)
    {
        value = default;
        return TryReadValues(text, separators: "", out List<JsonElement> values) && values.Count == 1 && (value = values[0]).ValueKind != JsonValueKind.Undefined;
    }

    /// <summary>Reads JSON values that stand one after the other, with white space or separators between them.</summary>
    public static bool TryReadValues(string text, string separators, out List<JsonElement> values)
    {
        values = [];
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        int position = 0;
        while (true)
        {
            while (position < bytes.Length && (char.IsWhiteSpace((char)bytes[position]) || separators.Contains((char)bytes[position]))) position++;
            if (position == bytes.Length) return true;
            try
            {
                Utf8JsonReader reader = new(bytes.AsSpan(position));
                values.Add(JsonElement.ParseValue(ref reader));
                position += (int)reader.BytesConsumed;
            }
            catch (JsonException)
            {
                return false;
            }
        }
    }
}
