namespace Decart.Inference.Memory;

/// <summary>Keys and values as <see cref="Fp8Codes"/>, a scale for each head of a token.</summary>
/// <remarks>Behind the codes of a layer lie the scales, halves: for each key/value head that of its keys and that of its values.</remarks>
internal static class KvCodes
{
    /// <summary>Heads take whole blocks of so many codes; those behind a head's end are 0.</summary>
    public const int Block = 16;

    /// <summary>Bytes of a code, which tell such elements from others.</summary>
    public const int Bytes = 1;

    /// <summary>Bytes of a scale.</summary>
    public const int ScaleBytes = sizeof(ushort);

    /// <summary>Codes of a head.</summary>
    public static int HeadBytes(int headDim) => (headDim + Block - 1) / Block * Block;

    /// <summary>Bytes of all scales of a token in a layer; what follows them stays aligned.</summary>
    public static int LayerScaleBytes(int kvHeads) => HeadBytes(kvHeads * 2 * ScaleBytes);
}
