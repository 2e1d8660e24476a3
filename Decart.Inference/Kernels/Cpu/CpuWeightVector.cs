namespace Decart.Inference.Kernels.Cpu;

/// <summary>Norm scales or biases as float32.</summary>
internal sealed unsafe class CpuWeightVector(int length) : WeightVector(length)
{
    private readonly CpuBuffer _buffer = new(length);

    public float* Pointer => _buffer.Pointer;

    public override void Dispose() => _buffer.Dispose();
}
