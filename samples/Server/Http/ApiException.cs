namespace Server.Http;

/// <summary>A request that is answered with an error.</summary>
/// <param name="status">The HTTP status.</param>
/// <param name="message">What is wrong.</param>
/// <param name="param">The field of the request that it is about.</param>
/// <param name="code">A name for programs.</param>
internal sealed class ApiException(int status, string message, string? param = null, string? code = null) : Exception(message)
{
    /// <summary>A request that cannot be understood or honoured.</summary>
    public ApiException(string message, string? param, string? code = null) : this(StatusCodes.Status400BadRequest, message, param, code) { }

    public int Status { get; } = status;

    public string? Param { get; } = param;

    public string? Code { get; } = code;
}
