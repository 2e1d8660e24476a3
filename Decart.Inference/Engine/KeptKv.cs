using Decart.Inference.Memory;

namespace Decart.Inference.Engine;

/// <summary>
/// The keys and values that a conversation keeps between its turns. They may be taken back when memory is short: the next turn then
/// computes them again. Owned by the engine's thread.
/// </summary>
internal sealed class KeptKv
{
    public KeptKv() => Node = new LinkedListNode<KeptKv>(this);

    /// <summary>What is kept; null during a turn, before the first one, and after it has been taken back.</summary>
    public KvCache? Cache { get; set; }

    /// <summary>Whether the conversation is gone.</summary>
    public bool IsClosed { get; set; }

    /// <summary>Its place in the scheduler's order of last use.</summary>
    public LinkedListNode<KeptKv> Node { get; }
}
