using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Decart.Inference.Checkpoints;

/// <summary>Where a tensor lies in its file and how it is encoded. Immutable.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="Type">Encoding of the elements.</param>
/// <param name="Shape">Dimensions, outermost first: the last one is contiguous. Empty for a scalar.</param>
/// <param name="Offset">Offset of the first byte from the start of the file.</param>
/// <param name="ByteLength">Number of bytes.</param>
public sealed record TensorInfo(string Name, TensorType Type, ImmutableArray<long> Shape, long Offset, long ByteLength)
{
    /// <summary>Number of elements: the product of <see cref="Shape"/>, 1 for a scalar.</summary>
    public long ElementCount
    {
        get
        {
            long count = 1;
            foreach (long dimension in Shape) count *= dimension;
            return count;
        }
    }

    /// <inheritdoc/>
    public bool Equals(TensorInfo? other) =>
        other is not null && (Name, Type, Offset, ByteLength) == (other.Name, other.Type, other.Offset, other.ByteLength)
        && Shape.AsSpan().SequenceEqual(other.Shape.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Type, Offset, ByteLength);

    /// <summary>The bytes that a tensor takes, or <see langword="null"/> if the number does not fit.</summary>
    /// <remarks>The last dimension must be a multiple of the encoding's block.</remarks>
    internal static long? BytesOf(TensorType type, ImmutableArray<long> shape)
    {
        Int128 elements = 1;
        foreach (long dimension in shape)
        {
            elements *= dimension;
            if (elements > long.MaxValue) return null;
        }
        Int128 bytes = elements / type.BlockLength() * type.BlockBytes();
        return bytes > long.MaxValue ? null : (long)bytes;
    }

    private bool PrintMembers(StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"Name = {Name}, Type = {Type}, Shape = [{string.Join(", ", Shape.AsSpan().ToArray())}], ");
        text.Append(CultureInfo.InvariantCulture, $"Offset = {Offset}, ByteLength = {ByteLength}");
        return true;
    }
}
