using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Norm scales or biases as float32.</summary>
internal sealed unsafe class CpuWeightVector(int length) : WeightVector(length)
{
    private readonly CpuBuffer<float> _buffer = new(length);

    public float* Pointer => _buffer.Pointer;

    /// <summary>The elements of all rows of the parts, one after another, plus <paramref name="offset"/>.</summary>
    /// <exception cref="ModelLoadException">An encoding is not one that weights may have, or there are too many elements.</exception>
    public static CpuWeightVector Create(ReadOnlySpan<StoredTensor> parts, float offset)
    {
        long length = 0;
        foreach (StoredTensor part in parts)
        {
            if (!MatMulFormats.Supports(part.Type)) throw new ModelLoadException($"{part.Name}: expected floating-point elements, found {part.Type}.");
            length += part.Rows * part.Columns;
            if (length > int.MaxValue) throw new ModelLoadException($"{part.Name}: a vector has at most {int.MaxValue} elements, found {length}.");
        }
        CpuWeightVector vector = new((int)length);
        float* destination = vector.Pointer;
        foreach (StoredTensor part in parts)
        {
            for (long row = 0; row < part.Rows; row++)
            {
                MatMulFormats.Decode(part.Type, part.Pointer + (row * part.RowBytes), (int)part.Columns, destination);
                destination += part.Columns;
            }
        }
        for (int i = 0; i < vector.Length; i++) vector.Pointer[i] += offset;
        return vector;
    }

    public override void Dispose() => _buffer.Dispose();
}
