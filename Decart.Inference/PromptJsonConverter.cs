using System.Text.Json;
using System.Text.Json.Serialization;

namespace Decart.Inference;

/// <summary>Writes a <see cref="Prompt"/> to JSON and reads it from there: a string, or an array of token ids.</summary>
public sealed class PromptJsonConverter : JsonConverter<Prompt>
{
    /// <inheritdoc/>
    public override Prompt Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String) return Prompt.FromString(reader.GetString()!);
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
        if (value.Text is { } text)
        {
            writer.WriteStringValue(text);
            return;
        }
        writer.WriteStartArray();
        foreach (int id in value.TokenIds.Span) writer.WriteNumberValue(id);
        writer.WriteEndArray();
    }

    private static JsonException Expected(JsonTokenType found) => new($"A prompt was expected as a string or an array of token ids, found {found}.");
}
