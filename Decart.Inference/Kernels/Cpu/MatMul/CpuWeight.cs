using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Consecutive rows of a weight with one encoding.</summary>
/// <param name="Data">The first row, in the checkpoint's map.</param>
/// <param name="RowBytes">Distance between rows.</param>
/// <param name="Rows">Number of rows.</param>
/// <param name="Type">Encoding.</param>
internal readonly unsafe record struct CpuWeightPart(nint Data, long RowBytes, int Rows, TensorType Type);

/// <summary>
/// A weight whose rows stay where they lie in the checkpoint: pointers into its map, so the checkpoint must outlive the weight.
/// Immutable; any thread may read it.
/// </summary>
internal sealed unsafe class CpuWeight : Weight
{
    private const int MaxColumns = 1 << 24;

    /// <summary>Pinned: jobs refer to it by address.</summary>
    private readonly CpuWeightPart[] _parts;

    /// <summary>Concatenates the rows of <paramref name="parts"/>.</summary>
    /// <exception cref="ModelLoadException">There is no part, the numbers of columns differ, or an encoding cannot be multiplied with.</exception>
    public CpuWeight(ReadOnlySpan<StoredTensor> parts)
        : base(CountRows(parts), (int)parts[0].Columns)
    {
        _parts = GC.AllocateArray<CpuWeightPart>(parts.Length, pinned: true);
        for (int i = 0; i < parts.Length; i++)
        {
            StoredTensor part = parts[i];
            _parts[i] = new CpuWeightPart(part.Data, part.RowBytes, (int)part.Rows, part.Type);
        }
    }

    /// <summary>Address of the first part, valid as long as the weight is reachable.</summary>
    public CpuWeightPart* Parts => (CpuWeightPart*)Marshal.UnsafeAddrOfPinnedArrayElement(_parts, 0);

    /// <summary>Widens one row to float32.</summary>
    /// <param name="row">0 up to <see cref="Weight.Rows"/>.</param>
    /// <param name="destination">Room for <see cref="Weight.Columns"/> elements.</param>
    public void DecodeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, Columns);
        int index = 0;
        for (; row >= _parts[index].Rows; index++) row -= _parts[index].Rows;
        ref readonly CpuWeightPart part = ref _parts[index];
        fixed (float* values = destination) MatMulFormats.Decode(part.Type, (byte*)part.Data + (row * part.RowBytes), Columns, values);
    }

    public override void Dispose()
    {
    }

    private static int CountRows(ReadOnlySpan<StoredTensor> parts)
    {
        if (parts.IsEmpty) throw new ModelLoadException("A weight needs at least one tensor, none was given.");
        long columns = parts[0].Columns;
        long rows = 0;
        foreach (StoredTensor part in parts)
        {
            if (!MatMulFormats.Supports(part.Type)) throw Error(part, $"its encoding {part.Type} cannot be multiplied with");
            if (part.Columns != columns) throw Error(part, $"expected {columns} columns as in {parts[0].Name}, found {part.Columns}");
            if (part.Columns is < 1 or > MaxColumns || part.Columns % part.Type.BlockLength() != 0)
                throw Error(part, $"expected a multiple of {part.Type.BlockLength()} columns, 1 to {MaxColumns}, found {part.Columns}");
            if (part.Rows < 1) throw Error(part, $"expected at least one row, found {part.Rows}");
            rows += part.Rows;
            if (rows > int.MaxValue) throw Error(part, $"a weight has at most {int.MaxValue} rows, these are {rows}");
        }
        return (int)rows;
    }

    private static ModelLoadException Error(StoredTensor part, string problem) => new($"{part.Name}: {problem}.");
}
