namespace Decart.Inference;

/// <summary>A session's counters at one moment. Immutable.</summary>
public sealed record SessionStatistics
{
    /// <summary>Requests that are being computed.</summary>
    public required int RunningSequences { get; init; }

    /// <summary>Requests that wait for their turn, or for their reader to catch up.</summary>
    public required int WaitingSequences { get; init; }

    /// <summary>Physical pages for keys and values: in use, cached or free.</summary>
    public required int KvPagesTotal { get; init; }

    /// <summary>Pages that requests and conversations hold; one that several share counts once.</summary>
    public required int KvPagesInUse { get; init; }

    /// <summary>Pages that nobody holds, kept because a later request may begin with the same tokens; they are given away when memory is short.</summary>
    public required int KvPagesCached { get; init; }

    /// <summary>How often a running request had to give its pages up; it computes its tokens again and gives the same answer later.</summary>
    public required long Preemptions { get; init; }

    /// <summary>Tokens that needed no computation because an earlier request began with the same.</summary>
    public required long PrefixHitTokens { get; init; }

    /// <summary>Prompt tokens computed since the session was loaded, each counted once.</summary>
    public required long PromptTokens { get; init; }

    /// <summary>Tokens generated since the session was loaded.</summary>
    public required long GeneratedTokens { get; init; }
}
