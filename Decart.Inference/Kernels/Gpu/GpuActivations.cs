namespace Decart.Inference.Kernels.Gpu;

/// <summary>Float32, or halves where they are operands of matmuls. What lies between the columns and the stride is 0 for ever.</summary>
internal sealed class GpuActivations : Activations
{
    private readonly GpuBuffer _buffer;

    public GpuActivations(IGpuDevice device, int rows, int columns, bool operand)
        : base(rows, columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        IsOperand = operand;
        Stride = GpuWeight.AlignedStride(columns);
        _buffer = new GpuBuffer(device.Memory, rows * RowBytes);
        device.Clear(Address, _buffer.Bytes);
    }

    /// <summary>Whether the elements are halves.</summary>
    public bool IsOperand { get; }

    /// <summary>Elements from one row to the next.</summary>
    public int Stride { get; }

    public long RowBytes => (long)Stride * (IsOperand ? sizeof(ushort) : sizeof(float));

    public nint Address => _buffer.Address;

    /// <summary>This, when it is float32.</summary>
    /// <exception cref="ArgumentException">It is an operand.</exception>
    public GpuActivations AsFloats() => !IsOperand ? this : throw new ArgumentException("Activations of float32 were expected, not operands of matmuls.");

    /// <summary>This, when it is an operand.</summary>
    /// <exception cref="ArgumentException">It is float32.</exception>
    public GpuActivations AsOperand() => IsOperand ? this : throw new ArgumentException("Operands of matmuls were expected, not activations of float32.");

    public override void Dispose() => _buffer.Dispose();
}
