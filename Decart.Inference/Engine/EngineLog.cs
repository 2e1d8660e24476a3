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

    [LoggerMessage(7, LogLevel.Information, "No GPU is used: {Reason}")]
    public static partial void NoGpu(this ILogger logger, string reason);

    [LoggerMessage(8, LogLevel.Information, "Sent {Bytes} bytes of weights to {Device} in {Elapsed}, {GigabytesPerSecond:F1} GB/s, and made ready for steps.")]
    public static partial void WeightsSent(this ILogger logger, long bytes, Device device, TimeSpan elapsed, double gigabytesPerSecond);

    [LoggerMessage(9, LogLevel.Information, "Computes on the processor: {Threads} threads, vectors of {VectorBits} bits.")]
    public static partial void ProcessorChosen(this ILogger logger, int threads, int vectorBits);

    [LoggerMessage(30, LogLevel.Warning,
        "A prompt has the token that begins a text (BOS, id {Id}) a second time: its text, which a chat template may have rendered, begins with it already. Prompt.FromString adds none with addSpecialTokens: false.")]
    public static partial void SecondBos(this ILogger logger, int id);

    [LoggerMessage(31, LogLevel.Information, "{Source} has no tokenizer that is read (files in other formats: {Found}): prompts are token ids only.")]
    public static partial void NoTokenizer(this ILogger logger, string source, string found);

    [LoggerMessage(32, LogLevel.Warning, "{Warning}")]
    public static partial void TokenizerWarning(this ILogger logger, string warning);

    [LoggerMessage(33, LogLevel.Information,
        "The tokenizer of {Source} has ids up to {LastTokenizerId}, the model up to {LastModelId}: prompts that hold larger ones are refused.")]
    public static partial void TokensBeyondModel(this ILogger logger, string source, int lastTokenizerId, int lastModelId);
}
