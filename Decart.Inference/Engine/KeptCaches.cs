using Decart.Inference.Memory;

namespace Decart.Inference.Engine;

/// <summary>
/// What conversations keep between their turns. Nothing here is needed by a step, so it is the first to go when memory is short. Owned by the engine's thread.
/// </summary>
internal sealed class KeptCaches
{
    private readonly LinkedList<KeptKv> _kept = []; // the least recently used first

    /// <summary>All that hold pages.</summary>
    public IEnumerable<KeptKv> All => _kept;

    /// <summary>Keeps a conversation's keys and values for its next turn.</summary>
    public void Keep(KeptKv kept, KvCache? cache)
    {
        kept.Cache = cache;
        if (cache is not null) _kept.AddLast(kept.Node);
    }

    /// <summary>Takes back what a conversation has kept, to be used or released.</summary>
    public KvCache? Take(KeptKv kept)
    {
        if (kept.Cache is not { } cache) return null;
        kept.Cache = null;
        _kept.Remove(kept.Node);
        return cache;
    }

    /// <summary>Keeps for one conversation what another has kept.</summary>
    public void Fork(KeptKv kept, KeptKv fork)
    {
        try
        {
            Keep(fork, kept.Cache?.Fork());
        }
        catch (OutOfMemoryException)
        {
            // The fork's next turn computes it again.
        }
    }

    /// <summary>Shortens what a conversation has kept.</summary>
    public void Truncate(KeptKv kept, int tokens)
    {
        try
        {
            kept.Cache?.Truncate(tokens);
        }
        catch (OutOfMemoryException)
        {
            Take(kept)!.Release(); // the next turn computes it again
        }
    }

    /// <summary>Gives up what a conversation has kept, and what its turn would keep.</summary>
    public void Close(KeptKv kept)
    {
        kept.IsClosed = true;
        Take(kept)?.Release();
    }

    /// <summary>Gives up what has not been used for the longest time.</summary>
    /// <param name="except">What is not given up.</param>
    /// <returns>Whether there was any.</returns>
    public bool TryReleaseOldest(KeptKv? except)
    {
        LinkedListNode<KeptKv>? oldest = _kept.First;
        if (oldest is not null && oldest.Value == except) oldest = oldest.Next;
        if (oldest is null) return false;
        Take(oldest.Value)!.Release();
        return true;
    }
}
