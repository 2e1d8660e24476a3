using Decart.Inference.Kernels.Gpu.Tiles;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>
/// Rows of float32; or halves that are operands of matmuls, laid out as <see cref="CoreTiles"/> in blocks whose size a step decides on.
/// </summary>
internal sealed class GpuActivations : Activations
{
    private readonly GpuBuffer _buffer;

    public GpuActivations(IGpuDevice device, int rows, int columns, bool operand)
        : base(rows, columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        IsOperand = operand;
        Stride = CoreTiles.PaddedColumns(columns);
        _buffer = new GpuBuffer(device.Memory, operand ? OperandBytes(rows, columns) : (long)rows * Stride * sizeof(float));
        device.Clear(Address, _buffer.Bytes);
    }

    /// <summary>Whether the elements are halves.</summary>
    public bool IsOperand { get; }

    /// <summary>Elements from one row to the next; of an operand its padded columns.</summary>
    public int Stride { get; }

    /// <summary>Bytes from one row of float32 to the next.</summary>
    public long RowBytes => (long)Stride * sizeof(float);

    public nint Address => _buffer.Address;

    /// <summary>This, when it is float32.</summary>
    /// <exception cref="ArgumentException">It is an operand.</exception>
    public GpuActivations AsFloats() => !IsOperand ? this : throw new ArgumentException("Activations of float32 were expected, not operands of matmuls.");

    /// <summary>This, when it is an operand.</summary>
    /// <exception cref="ArgumentException">It is float32.</exception>
    public GpuActivations AsOperand() => IsOperand ? this : throw new ArgumentException("Operands of matmuls were expected, not activations of float32.");

    /// <summary>Where rows begin, of an operand those of a block of the largest size.</summary>
    public nint RowAddress(int row) => Address + (nint)(IsOperand ? CoreTiles.OperandOffset(row, 0, Stride, CoreTiles.MaxBlockRows) : row * RowBytes);

    /// <summary>Bytes of an operand of that many rows, in blocks of any size.</summary>
    public static long OperandBytes(int rows, int columns) =>
        ((long)rows + CoreTiles.MaxBlockRows - 1) / CoreTiles.MaxBlockRows * CoreTiles.MaxBlockRows * CoreTiles.PaddedColumns(columns) * sizeof(ushort);

    public override void Dispose() => _buffer.Dispose();
}
