using System.Text.Json;
using System.Text.Unicode;

namespace Decart.Inference.Checkpoints;

/// <summary>Reads a JSON file of a checkpoint whole, within a bound, and checks that all its strings can be read.</summary>
internal static class JsonFile
{
    /// <summary>Far beyond every configuration; indexes of the largest checkpoints have some 10 MB.</summary>
    public const int DefaultMaxBytes = 64 << 20;

    private const int MaxDepth = 64;

    /// <summary>The file's root, an object. Independent of the file and of any document: it need not be disposed.</summary>
    /// <exception cref="ModelLoadException">The file is missing, too large, not UTF-8 or not a JSON object.</exception>
    public static JsonElement ReadObject(string path, int maxBytes = DefaultMaxBytes) => Read(path, JsonValueKind.Object, "a JSON object", maxBytes);

    /// <summary>The file's root, an array; otherwise as <see cref="ReadObject"/>.</summary>
    /// <exception cref="ModelLoadException">The file is missing, too large, not UTF-8 or not a JSON array.</exception>
    public static JsonElement ReadArray(string path) => Read(path, JsonValueKind.Array, "a JSON array", DefaultMaxBytes);

    private static JsonElement Read(string path, JsonValueKind kind, string expected, int maxBytes)
    {
        ReadOnlyMemory<byte> json = CheckpointFile.ReadAllBytes(path, maxBytes);
        if (json.Span.StartsWith("\uFEFF"u8)) json = json[3..];
        if (!Utf8.IsValid(json.Span)) throw new ModelLoadException(path, null, "expected JSON in UTF-8, found bytes that are not UTF-8");
        try
        {
            CheckStrings(json.Span);
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth });
            if (document.RootElement.ValueKind != kind)
                throw new ModelLoadException(path, null, $"expected {expected}, found {document.RootElement.ValueKind}");
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new ModelLoadException(path, null, $"expected {expected}, found malformed JSON: {e.Message.TrimEnd('.')}", e);
        }
    }

    /// <summary>
    /// JSON can write half a surrogate pair as an escape, which no string can hold: such JSON is rejected here, not where the string is used.
    /// </summary>
    /// <exception cref="JsonException">The JSON is malformed or has such a string.</exception>
    public static void CheckStrings(ReadOnlySpan<byte> json)
    {
        Utf8JsonReader reader = new(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (!reader.ValueIsEscaped) continue;
            try
            {
                reader.GetString();
            }
            catch (InvalidOperationException e)
            {
                throw new JsonException($"a string with half a surrogate pair at byte {reader.TokenStartIndex}", e);
            }
        }
    }
}
