using System.Text.Json.Serialization;

namespace Server.Contracts;

internal sealed record ErrorResponse(ErrorDescription Error);

/// <param name="Message">What is wrong.</param>
/// <param name="Type">The kind of error.</param>
/// <param name="Param">The field of the request that it is about.</param>
/// <param name="Code">A name for programs.</param>
internal sealed record ErrorDescription(
    string Message,
    string Type,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Param,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Code);
