using Microsoft.Extensions.Logging;

namespace Decart.Inference.Loading;

/// <summary>What loading a model logs.</summary>
internal static partial class LoadingLog
{
    [LoggerMessage(7, LogLevel.Information, "No GPU is used: {Reason}")]
    public static partial void NoGpu(this ILogger logger, string reason);

    [LoggerMessage(8, LogLevel.Information, "Sent {Bytes} bytes of weights to {Device} in {Elapsed}, {GigabytesPerSecond:F1} GB/s, and made ready for steps.")]
    public static partial void WeightsSent(this ILogger logger, long bytes, Device device, TimeSpan elapsed, double gigabytesPerSecond);

    [LoggerMessage(9, LogLevel.Information, "Computes on the processor: {Threads} threads, vectors of {VectorBits} bits.")]
    public static partial void ProcessorChosen(this ILogger logger, int threads, int vectorBits);

    [LoggerMessage(10, LogLevel.Warning, "The GPU cannot be used, the processor is: {Reason}")]
    public static partial void GpuFails(this ILogger logger, Exception error, string reason);

    [LoggerMessage(38, LogLevel.Information, "Computes on {Count} of {Gpus} GPUs, as the weights need {Bytes} bytes.")]
    public static partial void GpusChosen(this ILogger logger, int count, int gpus, long bytes);

    [LoggerMessage(39, LogLevel.Warning, "The model needs more than one GPU, and they cannot be used together: {Reason}")]
    public static partial void GpusFail(this ILogger logger, Exception error, string reason);

    [LoggerMessage(31, LogLevel.Information, "{Source} has no tokenizer that is read (files in other formats: {Found}): prompts are token ids only.")]
    public static partial void NoTokenizer(this ILogger logger, string source, string found);

    [LoggerMessage(32, LogLevel.Warning, "{Warning}")]
    public static partial void TokenizerWarning(this ILogger logger, string warning);

    [LoggerMessage(33, LogLevel.Information,
        "The tokenizer of {Source} has ids up to {LastTokenizerId}, the model up to {LastModelId}: prompts that hold larger ones are refused.")]
    public static partial void TokensBeyondModel(this ILogger logger, string source, int lastTokenizerId, int lastModelId);

    [LoggerMessage(34, LogLevel.Warning, "{Warning}")]
    public static partial void CheckpointWarning(this ILogger logger, string warning);

    [LoggerMessage(37, LogLevel.Debug, "{Note}")]
    public static partial void CheckpointNote(this ILogger logger, string note);

    [LoggerMessage(35, LogLevel.Warning, "{Source} has a chat template that cannot be read: chats are refused, texts can be completed. {Reason}")]
    public static partial void UnreadableTemplate(this ILogger logger, string source, string reason);

    [LoggerMessage(36, LogLevel.Information, "{Source} has no chat template: chats use that of its family, {Family}.")]
    public static partial void FamilyTemplate(this ILogger logger, string source, string family);
}
