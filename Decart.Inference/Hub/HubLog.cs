using Microsoft.Extensions.Logging;

namespace Decart.Inference.Hub;

/// <summary>What downloads log.</summary>
internal static partial class HubLog
{
    [LoggerMessage(40, LogLevel.Information, "Downloads {Files} files of {Model} at commit {Commit}: {Bytes} bytes, of which {BytesThere} are there.")]
    public static partial void Downloading(this ILogger logger, string model, string commit, int files, long bytes, long bytesThere);

    [LoggerMessage(41, LogLevel.Warning, "{What}: attempt {Attempt} failed, the next one starts in {Delay}. {Reason}")]
    public static partial void Retrying(this ILogger logger, string what, int attempt, TimeSpan delay, string reason);

    [LoggerMessage(42, LogLevel.Warning, "The part of {File} that was there is damaged: the file is downloaded from its beginning.")]
    public static partial void PartDamaged(this ILogger logger, string file);

    [LoggerMessage(43, LogLevel.Warning, "The Hub cannot say whether {Model} has changed, so what is in the cache is used. {Reason}")]
    public static partial void CacheUsed(this ILogger logger, string model, string reason);

    [LoggerMessage(44, LogLevel.Information, "Another process downloads {File}: waiting for it.")]
    public static partial void Waiting(this ILogger logger, string file);

    [LoggerMessage(45, LogLevel.Debug, "The cache cannot be written, so the Hub will be asked again which files {Model} has. {Reason}")]
    public static partial void AbsenceNotNoted(this ILogger logger, string model, string reason);
}
