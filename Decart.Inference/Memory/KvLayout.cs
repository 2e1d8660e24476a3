namespace Decart.Inference.Memory;

/// <summary>
/// Where the keys and values of one token lie: <c>[layer][K, V][kv head][head dim]</c> elements, one token after the other. Strides count
/// elements.
/// </summary>
/// <param name="Layers">Number of layers.</param>
/// <param name="KvHeads">Key/value heads of a layer.</param>
/// <param name="HeadDim">Elements of a head.</param>
/// <param name="ElementBytes">Bytes of an element in the device's memory.</param>
internal readonly record struct KvLayout(int Layers, int KvHeads, int HeadDim, int ElementBytes)
{
    /// <summary>Elements between the keys and the values of one token in one layer.</summary>
    public int ValueOffset => KvHeads * HeadDim;

    public int LayerStride => 2 * ValueOffset;

    public long TokenStride => (long)Layers * LayerStride;

    /// <summary>Bytes of one token in all layers.</summary>
    public long TokenBytes => TokenStride * ElementBytes;
}
