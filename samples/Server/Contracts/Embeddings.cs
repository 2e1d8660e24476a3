using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Server.Contracts;

/// <summary>The body of <c>POST /v1/embeddings</c>.</summary>
internal sealed record EmbeddingRequest : IModelRequest
{
    public string? Model { get; init; }

    /// <summary>A text, a list of texts, a list of token ids or a list of such lists.</summary>
    public JsonElement? Input { get; init; }

    /// <summary><c>float</c> or <c>base64</c>.</summary>
    public string? EncodingFormat { get; init; }

    /// <summary>How many of the first elements are kept.</summary>
    public int? Dimensions { get; init; }

    // Passed over.

    public string? User { get; init; }
}

/// <summary>The answer of <c>POST /v1/embeddings</c>.</summary>
internal sealed record EmbeddingList(string Object, IReadOnlyList<EmbeddingData> Data, string Model, EmbeddingUsage Usage);

internal sealed record EmbeddingData(string Object, int Index, EmbeddingVector Embedding);

internal sealed record EmbeddingUsage(int PromptTokens, int TotalTokens);

/// <param name="Values">The elements.</param>
/// <param name="IsBase64">Whether they are written as the bytes of little-endian floats, in Base64, and not as a list.</param>
[JsonConverter(typeof(EmbeddingVectorConverter))]
internal sealed record EmbeddingVector(float[] Values, bool IsBase64);

/// <summary>Writes an embedding in the form that was asked for.</summary>
internal sealed class EmbeddingVectorConverter : JsonConverter<EmbeddingVector>
{
    public override EmbeddingVector Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => throw new NotSupportedException("Embeddings are only written.");

    public override void Write(Utf8JsonWriter writer, EmbeddingVector value, JsonSerializerOptions options)
    {
        if (value.IsBase64)
        {
            writer.WriteBase64StringValue(MemoryMarshal.AsBytes<float>(value.Values));
            return;
        }
        writer.WriteStartArray();
        foreach (float element in value.Values) writer.WriteNumberValue(element);
        writer.WriteEndArray();
    }
}
