using System.Text.Json;
using System.Text.Json.Serialization;

namespace Decart.Inference;

/// <summary>Reads and writes a <see cref="Device"/> as a JSON string: <c>"auto"</c>, <c>"cpu"</c>, <c>"cuda:0"</c>, <c>"cuda:0,1"</c>, <c>"cuda:all"</c>.</summary>
public sealed class DeviceJsonConverter : JsonConverter<Device>
{
    /// <inheritdoc/>
    public override Device Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String
            ? Parse(reader.GetString()!)
            : throw new JsonException($"A device was expected as a string ({Device.Texts}), found {reader.TokenType}.");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Device value, JsonSerializerOptions options)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteStringValue(value.ToString());
    }

    /// <inheritdoc/>
    public override Device ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => Parse(reader.GetString()!);

    /// <inheritdoc/>
    public override void WriteAsPropertyName(Utf8JsonWriter writer, Device value, JsonSerializerOptions options)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WritePropertyName(value.ToString());
    }

    private static Device Parse(string text)
    {
        try
        {
            return Device.Parse(text);
        }
        catch (FormatException error)
        {
            throw new JsonException(error.Message, error);
        }
    }
}
