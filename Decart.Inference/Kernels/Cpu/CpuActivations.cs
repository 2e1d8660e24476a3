namespace Decart.Inference.Kernels.Cpu;

/// <summary>Float32 activations; every row starts on a cache line.</summary>
internal sealed unsafe class CpuActivations(int rows, int columns) : Activations(rows, columns)
{
    private readonly CpuBuffer<float> _buffer = new((long)rows * AlignedStride(columns));

    /// <summary>Elements from one row to the next.</summary>
    public int Stride { get; } = AlignedStride(columns);

    public float* Pointer => _buffer.Pointer;

    public Span<float> Row(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        return new Span<float>(Pointer + ((long)row * Stride), Columns);
    }

    public override void Dispose() => _buffer.Dispose();

    private static int AlignedStride(int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        return checked((columns + 15) / 16 * 16);
    }
}

/// <summary>Rows of float32 at any address.</summary>
/// <param name="Address">The first element.</param>
/// <param name="Stride">Elements from one row to the next.</param>
internal readonly unsafe record struct CpuRows(nint Address, int Stride)
{
    public CpuRows(CpuActivations activations)
        : this((nint)activations.Pointer, activations.Stride)
    {
    }

    public float* Pointer => (float*)Address;
}
