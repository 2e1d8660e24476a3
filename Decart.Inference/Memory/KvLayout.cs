namespace Decart.Inference.Memory;

/// <summary>
/// Where the keys and values of one token lie: <c>[layer][K, V][kv head][head dim]</c> elements, one token after the other. Elements of a byte are
/// <see cref="KvCodes"/>: their heads take whole blocks, and the scales <c>[kv head][K, V]</c> lie behind each layer.
/// </summary>
/// <param name="Layers">Number of layers.</param>
/// <param name="KvHeads">Key/value heads of a layer.</param>
/// <param name="HeadDim">Elements of a head.</param>
/// <param name="ElementBytes">Bytes of an element in the device's memory.</param>
internal readonly record struct KvLayout(int Layers, int KvHeads, int HeadDim, int ElementBytes)
{
    /// <summary>Whether elements are <see cref="KvCodes"/>.</summary>
    public bool HasCodes => ElementBytes == KvCodes.Bytes;

    /// <summary>Bytes from one head to the next.</summary>
    public int HeadBytes => HasCodes ? KvCodes.HeadBytes(HeadDim) : HeadDim * ElementBytes;

    /// <summary>Bytes between the keys and the values of one token in one layer.</summary>
    public int ValueOffset => KvHeads * HeadBytes;

    /// <summary>Bytes from the keys of a layer to its scales, where there are codes.</summary>
    public int ScaleOffset => 2 * ValueOffset;

    /// <summary>Bytes of one token in one layer.</summary>
    public int LayerBytes => ScaleOffset + (HasCodes ? KvCodes.LayerScaleBytes(KvHeads) : 0);

    /// <summary>Bytes of one token in all layers.</summary>
    public long TokenBytes => (long)Layers * LayerBytes;
}
