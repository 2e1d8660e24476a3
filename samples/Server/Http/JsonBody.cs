using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;

namespace Server.Http;

/// <summary>Reads and writes bodies of JSON.</summary>
internal static class JsonBody
{
    /// <summary>The answers are JSON and not part of a page, so letters of all languages stand as they are.</summary>
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Reads a request's body.</summary>
    /// <exception cref="ApiException">It is not JSON, or not of the form that is expected; the error names the field.</exception>
    public static async Task<T> ReadAsync<T>(HttpContext context, JsonTypeInfo<T> type)
    {
        if (!context.Request.HasJsonContentType())
            throw new ApiException(StatusCodes.Status415UnsupportedMediaType, "The body must be JSON: the content type \"application/json\" was expected.");
        using MemoryStream body = new();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        return Parse(body.GetBuffer().AsSpan(0, (int)body.Length), type);
    }

    public static T Parse<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
    {
        try
        {
            RequireWholeCharacters(json);
            return JsonSerializer.Deserialize(json, type) ?? throw new ApiException("The body is null; an object was expected.", null);
        }
        catch (JsonException error) when (error.Path is { Length: > 2 } path)
        {
            string field = path.StartsWith("$.", StringComparison.Ordinal) ? path[2..] : path[1..];
            throw new ApiException($"\"{field}\" is not known here, comes twice, or is not of the kind that is expected.", field);
        }
        catch (JsonException error)
        {
            throw new ApiException($"The body is not the JSON that is expected: {error.Message}", null, "invalid_json");
        }
    }

    /// <summary>Reads a part of a body whose form depends on what else stands there.</summary>
    public static T ParseField<T>(JsonElement element, string field, JsonTypeInfo<T> type)
    {
        try
        {
            return element.Deserialize(type) ?? throw new ApiException($"\"{field}\" is null; an object was expected.", field);
        }
        catch (JsonException error)
        {
            string within = error.Path is { Length: > 1 } path ? field + path[1..] : field;
            throw new ApiException($"\"{within}\" is not known here, or is not of the kind that is expected.", within);
        }
    }

    /// <summary>Reads JSON that is written in a text.</summary>
    public static JsonElement ParseText(string json, string field)
    {
        try
        {
            RequireWholeCharacters(Encoding.UTF8.GetBytes(json), field);
            return JsonElement.Parse(json);
        }
        catch (JsonException)
        {
            throw new ApiException($"\"{field}\" is not JSON.", field);
        }
    }

    public static void Write<T>(IBufferWriter<byte> output, T value, JsonTypeInfo<T> type)
    {
        using Utf8JsonWriter writer = new(output, WriterOptions);
        JsonSerializer.Serialize(writer, value, type);
    }

    /// <summary>Writes a whole response.</summary>
    public static async Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json";
        Write(context.Response.BodyWriter, value, type);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>Half characters are refused here, once, and not wherever a text is read.</summary>
    private static void RequireWholeCharacters(ReadOnlySpan<byte> json, string? field = null)
    {
        if (!Utf8.IsValid(json)) throw new ApiException("The body is not UTF-8.", field, "invalid_json");
        Utf8JsonReader reader = new(json);
        while (reader.Read())
        {
            if (!reader.ValueIsEscaped) continue;
            try
            {
                reader.GetString();
            }
            catch (InvalidOperationException)
            {
                throw new ApiException("A text in the body has half of a surrogate pair.", field, "invalid_json");
            }
        }
    }
}
