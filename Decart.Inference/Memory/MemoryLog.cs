using Microsoft.Extensions.Logging;

namespace Decart.Inference.Memory;

/// <summary>What the memory of keys and values logs.</summary>
internal static partial class MemoryLog
{
    [LoggerMessage(20, LogLevel.Information,
        "Keys and values: {Pages} pages of {PageBytes} bytes for {Tokens} tokens, {Paging} paging, {Slots} ranges of {SlotTokens} tokens.")]
    public static partial void KvMemoryCreated(this ILogger logger, int pages, long pageBytes, long tokens, PagingMode paging, int slots, int slotTokens);

    [LoggerMessage(21, LogLevel.Warning, "Pages could not be unmapped; they stay mapped until their range is used again.")]
    public static partial void UnmapFailed(this ILogger logger, Exception error);
}
