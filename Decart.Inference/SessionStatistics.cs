namespace Decart.Inference;

/// <summary>A snapshot of a session's counters. Immutable.</summary>
public sealed record SessionStatistics
{
    /// <summary>Requests being computed.</summary>
    public required int RunningSequences { get; init; }

    /// <summary>Requests waiting for their turn or for their reader to catch up.</summary>
    public required int WaitingSequences { get; init; }

    /// <summary>Physical pages for keys and values: in use, cached or free.</summary>
    public required int KvPagesTotal { get; init; }

    /// <summary>Pages held by requests and conversations; a shared page counts once.</summary>
    public required int KvPagesInUse { get; init; }

    /// <summary>Pages that nobody holds, kept in case a later request begins with the same tokens; reclaimed when memory runs short.</summary>
    public required int KvPagesCached { get; init; }

    /// <summary>How often a running request had to give up its pages; it recomputes its tokens later and gives the same answer.</summary>
    public required long Preemptions { get; init; }

    /// <summary>Prompt tokens that needed no computation because an earlier request began with them.</summary>
    public required long PrefixHitTokens { get; init; }

    /// <summary>Prompt tokens computed since the session was loaded, each counted once.</summary>
    public required long PromptTokens { get; init; }

    /// <summary>Tokens generated since the session was loaded.</summary>
    public required long GeneratedTokens { get; init; }
}
