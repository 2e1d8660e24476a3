namespace Server.Http;

/// <summary>Answers requests that fail with errors in the shape of OpenAI's API, and gives each request an id.</summary>
internal sealed partial class ErrorMiddleware(RequestDelegate next, ILogger<ErrorMiddleware> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        context.Response.Headers["x-request-id"] = context.TraceIdentifier;
        try
        {
            HeaderLimits.Require(context);
            await next(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be told.
        }
        catch (Exception error) when (!context.Response.HasStarted)
        {
            (int status, Contracts.ErrorResponse body) = ErrorResponses.Describe(error);
            if (status >= StatusCodes.Status500InternalServerError) Failed(error, context.TraceIdentifier);
            await ErrorResponses.WriteAsync(context, status, body);
        }
    }

    /// <summary>For answers without a body: routes that do not exist, methods that they do not have, hosts that are none of the server's.</summary>
    public static async Task DescribeStatusAsync(Microsoft.AspNetCore.Diagnostics.StatusCodeContext context)
    {
        HttpContext http = context.HttpContext;
        string message = http.Response.StatusCode switch
        {
            StatusCodes.Status404NotFound => $"There is nothing at {http.Request.Method} {http.Request.Path}.",
            StatusCodes.Status400BadRequest => $"The host {http.Request.Host} is none that is answered here.",
            StatusCodes.Status405MethodNotAllowed => $"{http.Request.Path} does not answer {http.Request.Method}.",
            int status => $"The request was answered with the status {status}.",
        };
        (int code, Contracts.ErrorResponse body) = ErrorResponses.Create(http.Response.StatusCode, message);
        await ErrorResponses.WriteAsync(http, code, body);
    }

    [LoggerMessage(LogLevel.Error, "Request {Id} failed.")]
    private partial void Failed(Exception error, string id);
}
