using System.Text.Json;
using System.Text.Json.Serialization;

namespace Server.Contracts;

/// <summary>What a piece of a stream says of its cost: nothing unless it is asked for; then null, but for the last piece.</summary>
/// <param name="IsAsked">Whether it is asked for.</param>
/// <param name="Usage">The cost.</param>
[JsonConverter(typeof(StreamUsageConverter))]
internal readonly record struct StreamUsage(bool IsAsked, CompletionUsage? Usage);

/// <summary>Writes what is asked for; what is not is left out by the contract, as a default.</summary>
internal sealed class StreamUsageConverter : JsonConverter<StreamUsage>
{
    public override StreamUsage Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => throw new NotSupportedException("Usage is only written.");

    public override void Write(Utf8JsonWriter writer, StreamUsage value, JsonSerializerOptions options)
    {
        if (value.Usage is { } usage) JsonSerializer.Serialize(writer, usage, ServerJson.Default.CompletionUsage);
        else writer.WriteNullValue();
    }
}
