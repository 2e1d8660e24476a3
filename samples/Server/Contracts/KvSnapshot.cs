namespace Server.Contracts;

/// <summary>The answer of <c>GET /kv</c>: what the session computes at the moment, and which sequences hold which pages.</summary>
internal sealed record KvSnapshot(
    long Time,
    int Running,
    int Waiting,
    int MostRunning,
    long GeneratedTokens,
    long PromptTokens,
    long PrefixHitTokens,
    long Preemptions,
    string Paging,
    int Pages,
    long PageBytes,
    long TokenBytes,
    IReadOnlyList<int> Cached,
    IReadOnlyList<KvSequence> Sequences);

/// <param name="Id">The same as long as the sequence holds pages.</param>
/// <param name="Tokens">Tokens whose keys and values are stored.</param>
/// <param name="IsIdle">Whether nothing is being computed for it.</param>
/// <param name="Pages">Its pages, in the order of its tokens.</param>
internal sealed record KvSequence(uint Id, int Tokens, bool IsIdle, IReadOnlyList<int> Pages);
