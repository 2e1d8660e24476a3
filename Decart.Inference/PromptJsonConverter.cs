using System.Text.Json;
using System.Text.Json.Serialization;

namespace Decart.Inference;

/// <summary>
/// Reads and writes a <see cref="Prompt"/> as JSON: a string, an array of token ids, or an object with the text and how it is encoded
/// (<c>{"text": "...", "addSpecialTokens": true, "parseSpecialTokens": false}</c>).
/// </summary>
public sealed class PromptJsonConverter : JsonConverter<Prompt>
{
    /// <inheritdoc/>
    public override Prompt Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String) return Prompt.FromString(reader.GetString()!);
        if (reader.TokenType == JsonTokenType.StartObject) return ReadObject(ref reader);
        if (reader.TokenType != JsonTokenType.StartArray) throw Expected(reader.TokenType);
        List<int> ids = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            ids.Add(reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int id) ? id : throw Expected(reader.TokenType));
        return Prompt.FromTokenIds(ids.ToArray());
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Prompt value, JsonSerializerOptions options)
    {
        ArgumentNullException.ThrowIfNull(writer);
        if (value.Text is null)
        {
            writer.WriteStartArray();
            foreach (int id in value.TokenIds.Span) writer.WriteNumberValue(id);
            writer.WriteEndArray();
        }
        else if (value is { AddsSpecialTokens: true, ParsesSpecialTokens: true })
        {
            writer.WriteStringValue(value.Text);
        }
        else
        {
            writer.WriteStartObject();
            writer.WriteString("text", value.Text);
            writer.WriteBoolean("addSpecialTokens", value.AddsSpecialTokens);
            writer.WriteBoolean("parseSpecialTokens", value.ParsesSpecialTokens);
            writer.WriteEndObject();
        }
    }

    private static Prompt ReadObject(ref Utf8JsonReader reader)
    {
        string? text = null;
        bool add = true, parse = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            string? name = reader.GetString();
            reader.Read();
            switch (name)
            {
                case "text" when reader.TokenType == JsonTokenType.String: text = reader.GetString(); break;
                case "addSpecialTokens" when reader.TokenType is JsonTokenType.True or JsonTokenType.False: add = reader.GetBoolean(); break;
                case "parseSpecialTokens" when reader.TokenType is JsonTokenType.True or JsonTokenType.False: parse = reader.GetBoolean(); break;
                default: throw Expected(reader.TokenType);
            }
        }
        return Prompt.FromString(text ?? throw Expected(JsonTokenType.EndObject), add, parse);
    }

    private static JsonException Expected(JsonTokenType found) => new($"A prompt was expected as a string, an array of token ids, or an object of text, addSpecialTokens and parseSpecialTokens, found {found}.");
}
