namespace Decart.Inference.Models.Quantisation;

/// <summary>What the codes of a weight mean.</summary>
internal enum CodeKind
{
    /// <summary>Unsigned integers: weight <c>scale * (code - zero)</c>.</summary>
    Integer,

    /// <summary>8-bit floats with 4 exponent and 3 mantissa bits: weight <c>scale * code</c>.</summary>
    E4M3,

    /// <summary>Indices into the 16 values of NF4: weight <c>scale * value</c>.</summary>
    NF4,

    /// <summary>Indices into the 16 values of FP4: weight <c>scale * value</c>.</summary>
    FP4,
}

/// <summary>Unpacks rows of a weight to a byte for each code, one row after another.</summary>
internal delegate void CodeReader(int firstRow, int rows, Span<byte> codes);

/// <summary>
/// A quantised weight as every scheme has it: codes, and a scale and a zero for each group of them. Groups are rectangles of <see cref="GroupRows"/> x
/// <see cref="GroupColumns"/> elements in row-major order, columns that <see cref="GroupOfColumn"/> gathers, or <see cref="RunLength"/> elements wherever rows end.
/// </summary>
internal sealed class QuantisedWeight
{
    /// <summary>The tensor of its codes, for error messages.</summary>
    public required string Name { get; init; }

    public required CodeKind Kind { get; init; }

    /// <summary>Bits of a code: 4 or 8.</summary>
    public required int Bits { get; init; }

    public required int Rows { get; init; }

    public required int Columns { get; init; }

    /// <summary>Rows that share a scale: 1, those of a block, or all.</summary>
    public int GroupRows { get; init; } = 1;

    /// <summary>Columns that share a scale: those of a group, or all.</summary>
    public required int GroupColumns { get; init; }

    /// <summary>Finite numbers.</summary>
    public required float[] Scales { get; init; }

    /// <summary>Zero points as the codes are, one for each scale; empty where all are <see cref="Zero"/>.</summary>
    public ushort[] Zeros { get; init; } = [];

    /// <summary>The zero point of all groups that have none of their own.</summary>
    public int Zero { get; init; }

    /// <summary>The group of each column where columns of one are scattered; else null.</summary>
    public int[]? GroupOfColumn { get; init; }

    /// <summary>Elements of a group that goes on in the next row; 0 where groups are rectangles.</summary>
    public int RunLength { get; init; }

    public required CodeReader ReadCodes { get; init; }

    /// <summary>Groups side by side.</summary>
    public int GroupsAcross => GroupTables.Count(GroupColumns, Columns);

    /// <summary>The index of an element's scale.</summary>
    public int Group(int row, int column) => RunLength != 0
        ? (int)((((long)row * Columns) + column) / RunLength)
        : (row / GroupRows * GroupsAcross) + (GroupOfColumn?[column] ?? column / GroupColumns);

    public int ZeroOf(int group) => Zeros.Length == 0 ? Zero : Zeros[group];
}
