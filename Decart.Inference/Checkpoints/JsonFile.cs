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
    public static JsonElement ReadObject(string path, int maxBytes = DefaultMaxBytes)
    {
        ReadOnlyMemory<byte> json = ReadBytes(path, maxBytes);
        if (json.Span.StartsWith("\uFEFF"u8)) json = json[3..];
        if (!Utf8.IsValid(json.Span)) throw new ModelLoadException(path, null, "expected JSON in UTF-8, found bytes that are not UTF-8");
        try
        {
            CheckStrings(json.Span);
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new ModelLoadException(path, null, $"expected a JSON object, found {document.RootElement.ValueKind}");
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new ModelLoadException(path, null, $"expected a JSON object, found malformed JSON: {e.Message.TrimEnd('.')}", e);
        }
    }

    private static byte[] ReadBytes(string path, int maxBytes)
    {
        if (Directory.Exists(path)) throw new ModelLoadException(path, null, "expected a file, found a folder");
        try
        {
            // Asked for before it is opened: a named pipe, which has no length, would not open before somebody writes to it.
            if (new FileInfo(path).Length == 0) throw new ModelLoadException(path, null, "expected a JSON object, found an empty file");
            using FileStream stream = File.OpenRead(path);
            if (stream.Length > maxBytes) throw new ModelLoadException(path, null, $"expected at most {maxBytes} bytes, found {stream.Length}");
            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ModelLoadException(path, null, "expected a file, found nothing at this path", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new ModelLoadException(path, null, $"expected a readable file: {e.Message.TrimEnd('.')}", e);
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
