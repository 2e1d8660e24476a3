using System.IO.Pipelines;
using System.Text;
using System.Text.Json.Serialization.Metadata;
using Server.Contracts;

namespace Server.Http;

/// <summary>An answer as server-sent events, each of them sent at once. A client that does not read holds up only its own answer.</summary>
internal sealed class EventStream
{
    private readonly HttpContext _context;

    private EventStream(HttpContext context) => _context = context;

    /// <summary>Begins the response; from here on errors are events.</summary>
    public static EventStream Begin(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-cache";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        return new EventStream(context);
    }

    public async Task SendAsync<T>(T data, JsonTypeInfo<T> type, string? name = null)
    {
        PipeWriter body = _context.Response.BodyWriter;
        if (name is not null)
        {
            Write("event: ");
            Write(name);
            Write("\n");
        }
        Write("data: ");
        JsonBody.Write(body, data, type);
        Write("\n\n");
        await FlushAsync();
    }

    /// <summary>The event that ends a stream of OpenAI's API.</summary>
    public async Task EndAsync()
    {
        Write("data: [DONE]\n\n");
        await FlushAsync();
    }

    /// <summary>Sends what a generation yields; where it fails, an error is the last event.</summary>
    /// <param name="send">Sends all events but the last.</param>
    /// <param name="sendError">Sends the last where something fails; null for the error alone.</param>
    public async Task RunAsync(Func<Task> send, Func<ErrorDescription, Task>? sendError = null)
    {
        try
        {
            await send();
        }
        catch (Exception error) when (!_context.RequestAborted.IsCancellationRequested)
        {
            ErrorResponse body = ErrorResponses.Describe(error).Body;
            await (sendError?.Invoke(body.Error) ?? SendAsync(body, ServerJson.Default.ErrorResponse));
        }
    }

    private void Write(string text) => Encoding.UTF8.GetBytes(text.AsSpan(), _context.Response.BodyWriter);

    private async Task FlushAsync()
    {
        await _context.Response.BodyWriter.FlushAsync(_context.RequestAborted);
        _context.RequestAborted.ThrowIfCancellationRequested();
    }
}
