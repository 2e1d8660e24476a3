using Decart.Inference.Engine;
using static Decart.Inference.Diagnostics.TelemetryNames;

namespace Decart.Inference.Diagnostics;

/// <summary>How a request ended.</summary>
/// <param name="Outcome">One of three words.</param>
/// <param name="Reason">Why its completion ended; null if it has none.</param>
/// <param name="Usage">What it cost; null if its caller left or it failed.</param>
/// <param name="Error">Why it failed; null unless it did.</param>
internal readonly record struct RequestEnd(string Outcome, string? Reason, Usage? Usage, Exception? Error)
{
    public bool IsCompleted => ReferenceEquals(Outcome, Completed);

    /// <summary>What kind of error ended it: the type of the exception at its root, or a word; null if it was completed.</summary>
    public string? ErrorType => IsCompleted ? null : Error is null ? Cancelled : (Error.InnerException ?? Error).GetType().FullName;

    /// <summary>Reads how a request stands after its caller has read all of it or left.</summary>
    public static RequestEnd Of(GenerationSequence sequence) => sequence.Latest switch
    {
        _ when sequence.Failure is { } error => new(Failed, null, null, error),
        { FinishReason: FinishReason.Stop } update => new(Completed, "stop", update.Usage, null),
        { FinishReason: FinishReason.Length } update => new(Completed, "length", update.Usage, null),
        { FinishReason: FinishReason.Cancelled } update => new(Cancelled, "cancelled", update.Usage, null),
        _ => new(Cancelled, null, null, null),
    };

    /// <summary>From its arrival to its last token, or to now if there is none.</summary>
    public TimeSpan Duration(GenerationSequence sequence) =>
        IsCompleted ? Usage!.TimeToFirstToken + (Usage.TimePerOutputToken * (Usage.CompletionTokens - 1)) : sequence.Age;
}
