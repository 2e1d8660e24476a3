using System.IO.Pipelines;
using System.Text;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Options;
using Server.Contracts;

namespace Server.Http;

/// <summary>An answer as server-sent events, each of them sent at once. A client that does not read holds up only its own answer.</summary>
internal sealed partial class EventStream
{
    private readonly HttpContext _context;
    private readonly TimeSpan _patience;

    private EventStream(HttpContext context, TimeSpan patience)
    {
        _context = context;
        _patience = patience;
    }

    /// <summary>Begins the response; from here on errors are events.</summary>
    public static async Task<EventStream> BeginAsync(HttpContext context)
    {
        ServerOptions options = context.RequestServices.GetRequiredService<IOptions<ServerOptions>>().Value;
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-cache";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        await context.Response.StartAsync(context.RequestAborted);
        EventStream events = new(context, options.SendTimeout);
        await events.FlushAsync();
        return events;
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
            (int status, ErrorResponse body) = ErrorResponses.Describe(error);
            if (status >= StatusCodes.Status500InternalServerError) Failed(_context.RequestServices.GetRequiredService<ILogger<EventStream>>(), error, _context.TraceIdentifier);
            await (sendError?.Invoke(body.Error) ?? SendAsync(body, ServerJson.Default.ErrorResponse));
        }
    }

    [LoggerMessage(LogLevel.Error, "The answer to request {Id} failed while it was streamed.")]
    private static partial void Failed(ILogger logger, Exception error, string id);

    private void Write(string text) => Encoding.UTF8.GetBytes(text.AsSpan(), _context.Response.BodyWriter);

    /// <summary>Waits until the client has read enough. One that does not read for long is cut off.</summary>
    private async Task FlushAsync()
    {
        ValueTask<FlushResult> flush = _context.Response.BodyWriter.FlushAsync(_context.RequestAborted);
        try
        {
            if (flush.IsCompleted) await flush;
            else await flush.AsTask().WaitAsync(_patience);
        }
        catch (TimeoutException)
        {
            _context.Abort();
        }
        _context.RequestAborted.ThrowIfCancellationRequested();
    }
}
