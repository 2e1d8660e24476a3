namespace Decart.Inference.Memory;

/// <summary>
/// The keys and values of one sequence: a contiguous range of addresses that holds
/// <c>[token][layer][K, V][kv head][head dim]</c> elements, so that kernels see a plain strided array.
/// </summary>
internal interface IKvRange : IDisposable
{
    /// <summary>Address of token 0. May change when <see cref="EnsureCapacity"/> grows the range.</summary>
    nint Address { get; }

    KvLayout Layout { get; }

    /// <summary>Makes room for tokens 0 .. <paramref name="tokens"/> - 1; what was written stays.</summary>
    void EnsureCapacity(int tokens);
}

/// <summary>Where the keys and values of one token lie within a range; strides count elements.</summary>
/// <param name="Layers">Number of layers.</param>
/// <param name="KvHeads">Key/value heads of a layer.</param>
/// <param name="HeadDim">Elements of a head.</param>
internal readonly record struct KvLayout(int Layers, int KvHeads, int HeadDim)
{
    /// <summary>Elements between the keys and the values of one token in one layer.</summary>
    public int ValueOffset => KvHeads * HeadDim;

    public int LayerStride => 2 * ValueOffset;

    public long TokenStride => (long)Layers * LayerStride;
}
