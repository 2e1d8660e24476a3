using Decart.Inference.Memory;

namespace Decart.Inference.Kernels.Gpu;

/// <summary>Rows of halves in the device's memory, each padded with zeros up to the stride.</summary>
internal sealed class GpuWeight(IDeviceMemory memory, int rows, int columns) : Weight(rows, columns)
{
    /// <summary>Rows of weights and of operands are multiples of this many elements.</summary>
    private const int Alignment = 64;

    private readonly GpuBuffer _buffer = new(memory, (long)rows * AlignedStride(columns) * sizeof(ushort));

    /// <summary>Elements from one row to the next.</summary>
    public int Stride { get; } = AlignedStride(columns);

    public nint Address => _buffer.Address;

    public static int AlignedStride(int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        return checked((columns + Alignment - 1) / Alignment * Alignment);
    }

    public override void Dispose() => _buffer.Dispose();
}

/// <summary>Float32 in the device's memory, padded with zeros to the stride of a row of that length.</summary>
internal sealed class GpuWeightVector(IDeviceMemory memory, int length) : WeightVector(length)
{
    private readonly GpuBuffer _buffer = new(memory, (long)GpuWeight.AlignedStride(length) * sizeof(float));

    public long Bytes => _buffer.Bytes;

    public nint Address => _buffer.Address;

    public override void Dispose() => _buffer.Dispose();
}

/// <summary>A rotary embedding whose angles kernels compute.</summary>
/// <param name="inverseFrequencies">Float32, one for each pair; owned.</param>
/// <param name="parameters">The rest.</param>
internal sealed class GpuRotaryTable(GpuBuffer inverseFrequencies, RotaryParameters parameters) : RotaryTable
{
    public nint InverseFrequencies => inverseFrequencies.Address;

    public int Pairs => parameters.Pairs;

    public int Sets => parameters.Sets;

    public int FirstSetLength => parameters.FirstSetLength;

    public float Scale => parameters.Scale;

    public bool Interleaved => parameters.Interleaved;

    public override void Dispose() => inverseFrequencies.Dispose();
}
