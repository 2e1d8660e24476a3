using Decart.Inference.Memory;

namespace Decart.Inference.Engine;

/// <summary>
/// What the loop has the processor prefetch. Thousands of sequences do not fit in the caches nearest to a core, and most of a step would be spent waiting
/// for them one by one.
/// </summary>
internal static class StepPrefetch
{
    /// <summary>Pages that are indexed together: lookups for all of them are prefetched before the first is needed.</summary>
    public const int Block = 16;

    /// <summary>How far ahead of its turn a sequence is prefetched, and then its tokens.</summary>
    private const int FarAhead = 16, NearAhead = 8;

    /// <summary>For the loop over running sequences.</summary>
    public static void Ahead(ReadOnlySpan<Sequence> running, int index)
    {
        if (index + FarAhead < running.Length) Prefetch.Object(running[index + FarAhead]);
    }

    /// <summary>For a loop over chunks that needs their sequences only.</summary>
    public static void Ahead(ReadOnlySpan<StepChunk> chunks, int index)
    {
        if (index + FarAhead < chunks.Length) Prefetch.Object(chunks[index + FarAhead].Sequence);
    }

    /// <summary>For a loop over chunks whose sequences are given tokens.</summary>
    public static void AheadWithTokens(ReadOnlySpan<StepChunk> chunks, int index)
    {
        Ahead(chunks, index);
        if (index + NearAhead < chunks.Length) chunks[index + NearAhead].Sequence.PrefetchTokens();
    }

    /// <summary>For pages that are about to be indexed.</summary>
    public static void Index(ReadOnlySpan<FilledPage> pages)
    {
        foreach (FilledPage page in pages) Prefetch.Object(page.Kv);
        foreach (FilledPage page in pages) page.Kv.FetchNextPage();
        foreach (FilledPage page in pages)
        {
            if (!page.Sequence.HasEnded) page.Kv.FetchIndex(page.Stored);
        }
    }
}
