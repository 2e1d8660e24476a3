using Microsoft.Extensions.Logging;

namespace Decart.Inference.Hosting;

/// <summary>What hosted models log.</summary>
internal static partial class HostingLog
{
    [LoggerMessage(40, LogLevel.Information, "Loading {Model}: {Progress}.")]
    public static partial void Loading(this ILogger logger, string model, string progress);

    [LoggerMessage(41, LogLevel.Information, "{Model} is ready, {Elapsed} after loading began.")]
    public static partial void Ready(this ILogger logger, string model, TimeSpan elapsed);

    [LoggerMessage(42, LogLevel.Critical, "{Model} cannot be loaded, the host stops.")]
    public static partial void LoadFailed(this ILogger logger, Exception error, string model);

    [LoggerMessage(43, LogLevel.Information, "{Model} takes no more requests; {Running} running and {Waiting} waiting ones may go on for {DrainTimeout}.")]
    public static partial void Draining(this ILogger logger, string model, int running, int waiting, TimeSpan drainTimeout);

    [LoggerMessage(44, LogLevel.Warning, "{Model}: the time is up, {Running} running and {Waiting} waiting requests end unfinished.")]
    public static partial void DrainTimedOut(this ILogger logger, string model, int running, int waiting);
}
