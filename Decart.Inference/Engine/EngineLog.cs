using Microsoft.Extensions.Logging;

namespace Decart.Inference.Engine;

/// <summary>What sessions log. What users write and models answer appears at level Trace only.</summary>
internal static partial class EngineLog
{
    [LoggerMessage(1, LogLevel.Information,
        "Loaded {Architecture} from {Source} on {Device}: vocabulary of {VocabularySize}, context of {ContextLength} tokens.")]
    public static partial void ModelLoaded(this ILogger logger, string architecture, string source, Device device, int vocabularySize, int contextLength);

    [LoggerMessage(2, LogLevel.Debug, "Request of {PromptTokens} prompt tokens for at most {MaxTokens} tokens.")]
    public static partial void RequestReceived(this ILogger logger, int promptTokens, int maxTokens);

    [LoggerMessage(3, LogLevel.Trace, "Prompt: {Prompt}")]
    public static partial void PromptReceived(this ILogger logger, string prompt);

    [LoggerMessage(4, LogLevel.Debug,
        "Request ended ({Reason}): {PromptTokens} prompt tokens, {CompletionTokens} generated, first in {TimeToFirstToken}, then {TimePerOutputToken} each.")]
    public static partial void RequestEnded(
        this ILogger logger, FinishReason reason, int promptTokens, int completionTokens, TimeSpan timeToFirstToken, TimeSpan timePerOutputToken);

    [LoggerMessage(5, LogLevel.Trace, "Completion goes on: {Text}")]
    public static partial void TextGenerated(this ILogger logger, string text);

    [LoggerMessage(6, LogLevel.Error, "Request failed after {PromptTokens} prompt tokens and {CompletionTokens} generated.")]
    public static partial void RequestFailed(this ILogger logger, Exception error, int promptTokens, int completionTokens);

    [LoggerMessage(30, LogLevel.Warning,
        "A prompt has the token that begins a text (BOS, id {Id}) a second time: its text, which a chat template may have rendered, begins with it already. Prompt.FromString adds none with addSpecialTokens: false.")]
    public static partial void SecondBos(this ILogger logger, int id);
}
