using Decart.Inference.Engine;
using Decart.Inference.Memory;
using Decart.Inference.Values;

namespace Decart.Inference;

/// <summary>A snapshot of which sequences hold which pages of the keys and values, for diagrams and debugging. Immutable.</summary>
public sealed record KvMap
{
    /// <summary><see cref="PagingMode.Hardware"/> or <see cref="PagingMode.Table"/>.</summary>
    public required PagingMode Paging { get; init; }

    /// <summary>Number of physical pages.</summary>
    public required int Pages { get; init; }

    /// <summary>Bytes of a page.</summary>
    public required long PageBytes { get; init; }

    /// <summary>Bytes of the keys and values of one token, all layers together.</summary>
    public required long TokenBytes { get; init; }

    /// <summary>Pages that no sequence holds, kept for requests that begin with the same tokens.</summary>
    public required int CachedPages { get; init; }

    /// <summary>The numbers of these pages, least recently used first.</summary>
    public IReadOnlyList<int> Cached { get; init => field = ValueList<int>.Copy(value); } = ValueList<int>.Copy([]);

    /// <summary>Everything that holds pages: running and paused requests, and conversations between turns.</summary>
    public required IReadOnlyList<KvMapSequence> Sequences { get; init => field = ValueList<KvMapSequence>.Copy(value); }

    /// <summary>Takes the picture, on the engine's thread.</summary>
    internal static KvMap Take(KvMemory memory, Scheduler scheduler) => new()
    {
        Paging = memory.Map is TablePageMap ? PagingMode.Table : PagingMode.Hardware,
        Pages = memory.Pool.Total,
        PageBytes = memory.Geometry.PageBytes,
        TokenBytes = memory.Geometry.TokenBytes,
        CachedPages = memory.Pool.Cached,
        Cached = [.. memory.Pool.CachedPages],
        Sequences =
        [
            .. scheduler.Sequences.Where(sequence => sequence.Kv is not null).Select(sequence => Describe(memory, sequence.Kv!, isIdle: sequence.IsPaused)),
            .. scheduler.Kept.All.Select(kept => Describe(memory, kept.Cache!, isIdle: true)),
        ],
    };

    private static KvMapSequence Describe(KvMemory memory, KvCache kv, bool isIdle)
    {
        int[] pages = [.. Enumerable.Range(0, kv.Pages).Select(kv.Page)];
        return new KvMapSequence(kv.View.Address, kv.Tokens, pages, pages.Count(page => memory.Pool.References(page) > 1), isIdle);
    }
}

/// <summary>One holder of pages.</summary>
/// <param name="Address">Start of its address range; 0 with a page table.</param>
/// <param name="Tokens">Tokens whose keys and values are stored.</param>
/// <param name="Pages">Its physical pages, numbered from 0, in the order of its tokens; the last may be mapped ahead of need.</param>
/// <param name="SharedPages">How many of them other holders share.</param>
/// <param name="IsIdle">Whether nothing is being computed for it: a conversation between turns, or a request whose reader has fallen behind.</param>
public sealed record KvMapSequence(long Address, int Tokens, IReadOnlyList<int> Pages, int SharedPages, bool IsIdle)
{
    /// <summary>Its physical pages, numbered from 0, in the order of its tokens; the last may be mapped ahead of need.</summary>
    public IReadOnlyList<int> Pages { get; init => field = ValueList<int>.Copy(value); } = ValueList<int>.Copy(Pages);
}
