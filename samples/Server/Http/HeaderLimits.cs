using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Server.Http;

/// <summary>
/// Bounds for a request's line and headers. Kestrel refuses what is beyond its own with a status alone, so these are far beyond, and the usual ones are looked at here.
/// </summary>
internal static class HeaderLimits
{
    /// <summary>Characters of the target; bytes of all headers; their number.</summary>
    private const int MaxTarget = 8 * 1024, MaxBytes = 32 * 1024, MaxCount = 100;

    /// <summary>How many times as much Kestrel takes.</summary>
    private const int Times = 8;

    public static void Apply(KestrelServerLimits limits)
    {
        limits.MaxRequestLineSize = MaxTarget * Times;
        limits.MaxRequestHeadersTotalSize = MaxBytes * Times;
        limits.MaxRequestHeaderCount = MaxCount * Times;
    }

    /// <exception cref="ApiException">The request has more.</exception>
    public static void Require(HttpContext context)
    {
        int target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget.Length;
        if (target > MaxTarget) throw new ApiException(StatusCodes.Status414UriTooLong, $"The path and query have {target} characters; at most {MaxTarget} are read.");
        int count = 0, bytes = 0;
        foreach ((string name, Microsoft.Extensions.Primitives.StringValues values) in context.Request.Headers)
        {
            count += values.Count;
            foreach (string? value in values) bytes += name.Length + (value?.Length ?? 0);
        }
        if (count > MaxCount || bytes > MaxBytes)
            throw new ApiException(StatusCodes.Status431RequestHeaderFieldsTooLarge, $"{count} headers of {bytes} characters are too many: at most {MaxCount} of {MaxBytes} are read.");
    }
}
