using System.Numerics.Tensors;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Norm scales or biases as float32.</summary>
internal sealed unsafe class CpuWeightVector(int length) : WeightVector(length)
{
    private readonly CpuBuffer<float> _buffer = new(length);

    public float* Pointer => _buffer.Pointer;

    /// <summary>The elements of all rows of the parts, one after another, plus <paramref name="offset"/>.</summary>
    public static CpuWeightVector Create(VectorParts parts, float offset)
    {
        CpuWeightVector vector = new(parts.Length);
        float* destination = vector.Pointer;
        foreach (StoredTensor part in parts.Tensors)
        {
            for (long row = 0; row < part.Rows; row++)
            {
                MatMulFormats.Decode(part.Type, part.Pointer + (row * part.RowBytes), (int)part.Columns, destination);
                destination += part.Columns;
            }
        }
        Span<float> elements = new(vector.Pointer, vector.Length);
        if (offset != 0) TensorPrimitives.Add(elements, offset, elements);
        return vector;
    }

    public override void Dispose() => _buffer.Dispose();
}
