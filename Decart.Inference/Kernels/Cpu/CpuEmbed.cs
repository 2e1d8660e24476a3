using System.Numerics.Tensors;

namespace Decart.Inference.Kernels.Cpu;

/// <summary>Rows of an embedding table as activations.</summary>
internal static unsafe class CpuEmbed
{
    /// <summary>x[i] = table[tokenIds[i]] * scale.</summary>
    public static void Embed(CpuWeight table, ReadOnlySpan<int> tokenIds, float scale, CpuActivations x)
    {
        for (int row = 0; row < tokenIds.Length; row++)
        {
            Span<float> embedding = new(x.Pointer + ((long)row * x.Stride), x.Columns);
            table.DecodeRow(tokenIds[row], embedding);
            if (scale != 1) TensorPrimitives.Multiply(embedding, scale, embedding);
        }
    }
}
