namespace Decart.Inference.Grammars.Languages;

/// <summary>Texts in the order of their bytes, a beginning before what it begins.</summary>
internal sealed class ByteOrder : IComparer<byte[]>
{
    public static ByteOrder Comparer { get; } = new();

    public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
}
