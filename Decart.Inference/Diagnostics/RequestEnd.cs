using Decart.Inference.Engine;
using static Decart.Inference.Diagnostics.TelemetryNames;

namespace Decart.Inference.Diagnostics;

/// <summary>How a request ended.</summary>
/// <param name="Outcome">One of three words.</param>
/// <param name="Reason">Why its completion ended; null if it has none.</param>
/// <param name="Usage">What it cost; null if its caller left or it failed.</param>
/// <param name="Error">Why it failed; null unless it did.</param>
internal readonly record struct RequestEnd(string Outcome, string? Reason = null, Usage? Usage = null, Exception? Error = null)
{
    public bool IsCompleted => ReferenceEquals(Outcome, Completed);

    /// <summary>What kind of error ended it: the type of the exception at its root, or a word; null if it was completed.</summary>
    public string? ErrorType => IsCompleted ? null : Error is null ? Cancelled : (Error.InnerException ?? Error).GetType().FullName;

    /// <summary>From the request's arrival to its last token; null if it did not complete one.</summary>
    public TimeSpan? TimeToLastToken =>
        IsCompleted && Usage is { CompletionTokens: > 0 } usage ? usage.TimeToFirstToken + (usage.TimePerOutputToken * (usage.CompletionTokens - 1)) : null;

    /// <summary>How a request ended that threw at its caller.</summary>
    public static RequestEnd Of(Exception error) => error is OperationCanceledException or ObjectDisposedException ? new(Cancelled) : new(Failed, Error: error);

    /// <summary>Reads how a request stands after its caller has had all of it or left.</summary>
    public static RequestEnd Of(Sequence sequence) => sequence switch
    {
        GenerationSequence { Failure: { } error } => new(Failed, Error: error),
        GenerationSequence { Latest: { FinishReason: { } reason } update } => reason switch
        {
            FinishReason.Stop => new(Completed, "stop", update.Usage),
            FinishReason.Length => new(Completed, "length", update.Usage),
            _ => new(Cancelled, "cancelled", update.Usage),
        },
        ResultSequence { Completion.IsCompletedSuccessfully: true } => new(Completed, Usage: UsageOf(sequence)),
        ResultSequence { Completion.Exception.InnerException: { } error } => Of(error),
        _ => new(Cancelled),
    };

    /// <summary>What was read of the prompt. The last token of one that is scored is scored, but not read.</summary>
    private static Usage UsageOf(Sequence sequence) =>
        new(sequence is ScoringSequence ? sequence.PromptLength + 1 : sequence.PromptLength, sequence.CachedPromptTokens ?? 0, 0, default, default);
}
