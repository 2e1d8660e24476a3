namespace Decart.Inference;

/// <summary>A session's counters at one moment. Immutable.</summary>
public sealed record SessionStatistics
{
    /// <summary>Requests that are being computed.</summary>
    public required int RunningSequences { get; init; }

    /// <summary>Requests that wait for their turn.</summary>
    public required int WaitingSequences { get; init; }

    /// <summary>Prompt tokens computed since the session was loaded.</summary>
    public required long PromptTokens { get; init; }

    /// <summary>Tokens generated since the session was loaded.</summary>
    public required long GeneratedTokens { get; init; }
}
