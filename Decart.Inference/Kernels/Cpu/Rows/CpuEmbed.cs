namespace Decart.Inference.Kernels.Cpu;

/// <summary>Rows of an embedding table as activations.</summary>
internal static unsafe class CpuEmbed
{
    /// <summary>x[i] = table[tokenIds[i]] * scale.</summary>
    public static void Embed(CpuWeight table, ReadOnlySpan<int> tokenIds, float scale, CpuActivations x)
    {
        for (int row = 0; row < tokenIds.Length; row++)
        {
            float* embedding = x.Pointer + ((long)row * x.Stride);
            table.DecodeRow(tokenIds[row], new Span<float>(embedding, x.Columns));
            if (scale != 1) CpuRowMath.Scale(embedding, scale, x.Columns);
        }
    }
}
