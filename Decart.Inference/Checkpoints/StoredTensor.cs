using System.Collections.Immutable;
using System.Text;

namespace Decart.Inference.Checkpoints;

/// <summary>
/// A tensor where it lies in a memory-mapped checkpoint, row-major with the last dimension contiguous.
/// A view: it owns nothing and is valid only while its checkpoint is open.
/// </summary>
/// <param name="Name">Name in the file, for error messages.</param>
/// <param name="Type">Encoding of the elements.</param>
/// <param name="Shape">Dimensions, outermost first (GGUF's are reversed into this order when read).</param>
/// <param name="Data">Address of the first byte; no alignment is promised.</param>
internal readonly unsafe record struct StoredTensor(string Name, TensorType Type, ImmutableArray<long> Shape, nint Data)
{
    /// <summary>The column of each element of a row, where the elements lie in another order than their columns; else default.</summary>
    public ImmutableArray<int> ColumnOrder { get; init; }

    /// <summary>Product of all dimensions but the last: a vector has one row.</summary>
    public long Rows
    {
        get
        {
            long rows = 1;
            for (int i = 0; i < Shape.Length - 1; i++) rows *= Shape[i];
            return rows;
        }
    }

    /// <summary>The last dimension.</summary>
    public long Columns => Shape.Length == 0 ? 1 : Shape[^1];

    public long RowBytes => Columns / Type.BlockLength() * Type.BlockBytes();

    public byte* Pointer => (byte*)Data;

    /// <summary>Rows <paramref name="start"/> .. <paramref name="start"/> + <paramref name="count"/> as a matrix.</summary>
    public StoredTensor SliceRows(long start, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + count, Rows);
        return this with { Shape = [count, Columns], Data = Data + (nint)(start * RowBytes) };
    }

    /// <remarks>Without the address, which a record cannot print.</remarks>
    private bool PrintMembers(StringBuilder text)
    {
        text.Append($"{Name}, {Type}[{string.Join(", ", Shape)}]");
        return true;
    }
}
