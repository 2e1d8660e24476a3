using System.Buffers;
using System.IO.Pipelines;
using System.Numerics;
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
    /// <param name="context">The request.</param>
    /// <param name="type">What is expected.</param>
    /// <param name="share">Counts the memory that it takes.</param>
    /// <param name="patience">How long it may take to arrive.</param>
    /// <exception cref="ApiException">
    /// It is not JSON, or not of the form that is expected, and the error names the field; or it takes too long, or too much memory with others.
    /// </exception>
    public static async Task<T> ReadAsync<T>(HttpContext context, JsonTypeInfo<T> type, BodyLimits.Share share, TimeSpan patience)
    {
        if (!context.Request.HasJsonContentType())
            throw new ApiException(StatusCodes.Status415UnsupportedMediaType, "The body must be JSON: the content type \"application/json\" was expected.");
        using MemoryStream body = new();
        using CancellationTokenSource waiting = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        waiting.CancelAfter(patience);
        try
        {
            await ReadAsync(context.Request.BodyReader, body, share, waiting.Token);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new ApiException(StatusCodes.Status408RequestTimeout, $"The body did not arrive within {patience.TotalSeconds} s.", code: "request_timeout");
        }
        catch (IOException error) when (error is not BadHttpRequestException && !context.RequestAborted.IsCancellationRequested)
        {
            throw new ApiException($"The body cannot be read: {error.Message}", null);
        }
        return Parse(body.GetBuffer().AsSpan(0, (int)body.Length), type);
    }

    private static async Task ReadAsync(PipeReader reader, MemoryStream body, BodyLimits.Share share, CancellationToken cancellationToken)
    {
        ReadResult read;
        // A read that a token has ended is still under way for the pipe, which then cannot be drained of what the body has left.
        await using CancellationTokenRegistration cancellation = cancellationToken.UnsafeRegister(static reader => ((PipeReader)reader!).CancelPendingRead(), reader);
        do
        {
            read = await reader.ReadAsync(CancellationToken.None);
            try
            {
                if (read.IsCanceled) throw new OperationCanceledException(cancellationToken);
                uint capacity = BitOperations.RoundUpToPowerOf2((uint)(body.Length + read.Buffer.Length));
                share.Grow(capacity);
                body.Capacity = (int)Math.Min(capacity, (uint)Array.MaxLength);
                foreach (ReadOnlyMemory<byte> piece in read.Buffer) body.Write(piece.Span);
            }
            finally
            {
                reader.AdvanceTo(read.Buffer.End); // also of a body that is refused: the connection goes on after it
            }
        }
        while (!read.IsCompleted);
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

    /// <summary>A field of OpenAI's API that cannot be honoured; clients may write it as null.</summary>
    public static void RequireNull(JsonElement? value, string field, string reason)
    {
        if (value is { ValueKind: not JsonValueKind.Null }) throw new ApiException($"\"{field}\" can only be null: {reason}.", field, "unsupported");
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
