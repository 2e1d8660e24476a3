namespace Decart.Inference.Kernels.Cpu;

/// <summary>Makes tensors in the host's memory.</summary>
internal sealed class CpuTensorFactory : ITensorFactory
{
    public bool ReadsWeightsInPlace => true;

    public Weight CreateWeight(WeightParts parts) => new CpuWeight(parts);

    public WeightVector CreateVector(VectorParts parts, float offset = 0) => CpuWeightVector.Create(parts, offset);

    public RotaryTable CreateRotary(RotaryParameters parameters) => new CpuRotaryTable(parameters);

    public Activations CreateActivations(int rows, int columns, bool operand = false, Split split = Split.None) => new CpuActivations(rows, columns);
}
