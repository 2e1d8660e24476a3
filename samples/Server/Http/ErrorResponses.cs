using System.Text.Json;
using Decart.Inference;
using Server.Contracts;

namespace Server.Http;

/// <summary>Errors in the shape of OpenAI's API.</summary>
internal static class ErrorResponses
{
    private const int MostCharacters = 1000, MostFieldCharacters = 200;

    /// <summary>The fields that options of the session come from, where their names differ by more than their style.</summary>
    private static readonly Dictionary<string, string> Fields = new()
    {
        [nameof(GenerationOptions.StopSequences)] = "stop",
        [nameof(GenerationOptions.IgnoreEndOfText)] = "ignore_eos",
    };

    /// <summary>What a caller is told about an exception.</summary>
    public static (int Status, ErrorResponse Body) Describe(Exception exception) => exception switch
    {
        ApiException error => Create(error.Status, error.Message, error.Param, error.Code),
        BadHttpRequestException error => Create(error.StatusCode, error.Message),
        ContextLengthExceededException error => Create(StatusCodes.Status400BadRequest, error.Message, code: "context_length_exceeded"),
        GrammarException error => Create(StatusCodes.Status400BadRequest, error.Message, code: error.Path is null ? null : "unsupported_schema"),
        ChatTemplateException error => Create(StatusCodes.Status400BadRequest, error.Message, "messages", "chat_template_error"),
        TokenizationException error => Create(StatusCodes.Status400BadRequest, error.Message, code: "tokenization_failed"),
        SessionDrainingException or ObjectDisposedException => Create(StatusCodes.Status503ServiceUnavailable, "The server is shutting down.", code: "shutting_down"),
        ArgumentOutOfRangeException error => Create(StatusCodes.Status400BadRequest, FirstLine(error.Message), Field(error.ParamName)),
        ArgumentException error => Create(StatusCodes.Status400BadRequest, FirstLine(error.Message)),
        NotSupportedException error => Create(StatusCodes.Status400BadRequest, error.Message, code: "unsupported"),
        _ => Create(StatusCodes.Status500InternalServerError, "The server failed to compute the answer; its log says why."),
    };

    public static async Task WriteAsync(HttpContext context, int status, ErrorResponse body)
    {
        context.Response.StatusCode = status;
        if (status == StatusCodes.Status401Unauthorized) context.Response.Headers.WWWAuthenticate = "Bearer";
        if (status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable) context.Response.Headers.RetryAfter = "1";
        await JsonBody.WriteAsync(context, body, ServerJson.Default.ErrorResponse);
    }

    public static (int Status, ErrorResponse Body) Create(int status, string message, string? param = null, string? code = null) =>
        (status, new ErrorResponse(new ErrorDescription(Excerpt(message, MostCharacters), Kind(status), param is null ? null : Excerpt(param, MostFieldCharacters), code)));

    /// <summary>A text, or so much of it that an error stays readable: callers may have written some of it.</summary>
    private static string Excerpt(string text, int most) =>
        text.Length <= most ? text : $"{text.AsSpan(0, most - (char.IsHighSurrogate(text[most - 1]) ? 1 : 0))}…";

    private static string Kind(int status) => status switch
    {
        StatusCodes.Status401Unauthorized => "authentication_error",
        StatusCodes.Status429TooManyRequests => "rate_limit_error",
        < StatusCodes.Status500InternalServerError => "invalid_request_error",
        _ => "server_error",
    };

    private static string? Field(string? option) =>
        option is null ? null : Fields.TryGetValue(option, out string? field) ? field : JsonNamingPolicy.SnakeCaseLower.ConvertName(option);

    /// <summary>Without the parameter's name and value, which the runtime puts on lines of their own or at the end.</summary>
    private static string FirstLine(string message)
    {
        string line = message.Split('\n')[0].TrimEnd();
        int parameter = line.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return parameter < 0 ? line : line[..parameter];
    }
}
