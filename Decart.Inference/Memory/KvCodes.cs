namespace Decart.Inference.Memory;

/// <summary>Keys and values as <see cref="Fp8Codes"/>, a scale for each head of a token.</summary>
/// <remarks>
/// Scales are halves: for each key/value head of a layer that of its keys and that of its values. Those of eight layers lie together, before the layers' codes: heads of 128 codes so begin
/// at multiples of 128 bytes, as the lines of caches do, and 32 more bytes behind every layer would have those of three layers in four lie across two.
/// </remarks>
internal static class KvCodes
{
    /// <summary>Heads take whole blocks of so many codes; those behind a head's end are 0.</summary>
    public const int Block = 16;

    /// <summary>Layers whose scales lie together.</summary>
    public const int LayerBlock = 8;

    /// <summary>Bytes of a code, which tell such elements from others.</summary>
    public const int Bytes = 1;

    /// <summary>Bytes of a scale.</summary>
    public const int ScaleBytes = sizeof(ushort);

    /// <summary>Codes of a head.</summary>
    public static int HeadBytes(int headDim) => (headDim + Block - 1) / Block * Block;

    /// <summary>Bytes of all scales of a token in a layer; those of <see cref="LayerBlock"/> layers are a multiple of 128.</summary>
    public static int LayerScaleBytes(int kvHeads) => HeadBytes(kvHeads * 2 * ScaleBytes);
}
