namespace Decart.Inference.Memory;

/// <summary>
/// Where the keys and values of one token lie: <c>[layer][K, V][kv head][head dim]</c> elements, one token after the other. Elements of a byte are
/// <see cref="KvCodes"/>: their heads take whole blocks, and the scales <c>[layer][kv head][K, V]</c> of <see cref="KvCodes.LayerBlock"/> layers lie before these.
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

    /// <summary>Bytes of one token in one layer.</summary>
    public int LayerBytes => ElementsBytes + ScaleBytes;

    /// <summary>Bytes of one token in all layers; where there are codes with room for the scales of whole blocks of layers.</summary>
    public long TokenBytes => ((long)Layers * ElementsBytes) + ((long)(Layers + KvCodes.LayerBlock - 1) / KvCodes.LayerBlock * BlockScaleBytes);

    /// <summary>Bytes of keys and values of one token in one layer.</summary>
    private int ElementsBytes => 2 * ValueOffset;

    private int ScaleBytes => HasCodes ? KvCodes.LayerScaleBytes(KvHeads) : 0;

    private int BlockScaleBytes => KvCodes.LayerBlock * ScaleBytes;

    /// <summary>Bytes from the start of a token to the keys of a layer.</summary>
    public int LayerOffset(int layer) => (layer * ElementsBytes) + (((layer / KvCodes.LayerBlock) + 1) * BlockScaleBytes);

    /// <summary>Bytes from the start of a token to the scales of a layer, where there are codes.</summary>
    public int ScaleOffset(int layer) =>
        (layer / KvCodes.LayerBlock * ((KvCodes.LayerBlock * ElementsBytes) + BlockScaleBytes)) + (layer % KvCodes.LayerBlock * ScaleBytes);
}
