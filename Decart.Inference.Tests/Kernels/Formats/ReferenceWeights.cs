using System.Buffers.Binary;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tests.Kernels.Formats;

/// <summary>
/// The block formats written down element by element from their definition (ggml's block structures), in float64, where every
/// weight is exact: scales are multiples of 2^-24 and nothing exceeds 2^28.
/// </summary>
internal static class ReferenceWeights
{
    public static double[] Decode(TensorType type, ReadOnlySpan<byte> block)
    {
        double[] weights = new double[type.BlockLength()];
        for (int i = 0; i < weights.Length; i++) weights[i] = Weight(type, block, i);
        return weights;
    }

    /// <summary>Bytes at which the format keeps f16 numbers.</summary>
    public static int[] HalfOffsets(TensorType type) => type switch
    {
        TensorType.Q4_0 or TensorType.Q5_0 or TensorType.Q8_0 => [0],
        TensorType.Q4_1 or TensorType.Q5_1 or TensorType.Q4_K or TensorType.Q5_K => [0, 2],
        TensorType.Q2_K => [80, 82],
        TensorType.Q3_K => [108],
        TensorType.Q6_K => [208],
        TensorType.TQ1_0 => [52],
        TensorType.TQ2_0 => [64],
        TensorType.IQ1_M or TensorType.Q8_K or >= TensorType.MXFP4 => [],
        _ => [0],
    };

    /// <summary>Blocks of random bytes whose weights are finite, also as f16.</summary>
    public static void Fill(TensorType type, Span<byte> blocks, Random random)
    {
        random.NextBytes(blocks);
        for (; !blocks.IsEmpty; blocks = blocks[type.BlockBytes()..])
        {
            MakeFinite(type, blocks);
            if (ReferenceGroupWeights.Has(type)) ReferenceGroupWeights.Scale(type, blocks);
            if (type == TensorType.MXFP4) blocks[0] = (byte)(116 + blocks[0] % 16);
        }
    }

    /// <summary>Clears the upper exponent bit of every scale, so that random bytes have finite ones, the smallest included.</summary>
    public static void MakeFinite(TensorType type, Span<byte> block)
    {
        const byte AllButUpperExponentBit = 0xBF;
        foreach (int offset in HalfOffsets(type)) block[offset + 1] &= AllButUpperExponentBit;
        if (type == TensorType.IQ1_M) block[55] &= AllButUpperExponentBit;
        if (type == TensorType.Q8_K) block[3] &= AllButUpperExponentBit;
        if (ReferenceGroupWeights.Has(type)) ReferenceGroupWeights.MakeFinite(type, block);
    }

    private static double Weight(TensorType type, ReadOnlySpan<byte> block, int i) => type switch
    {
        TensorType.Q4_0 => Half(block, 0) * (Nibble(block[2..], i) - 8),
        TensorType.Q4_1 => Half(block, 0) * Nibble(block[4..], i) + Half(block, 2),
        TensorType.Q5_0 => Half(block, 0) * (Nibble(block[6..], i) + 16 * Bit(block[2..], i) - 16),
        TensorType.Q5_1 => Half(block, 0) * (Nibble(block[8..], i) + 16 * Bit(block[4..], i)) + Half(block, 2),
        TensorType.Q8_0 => Half(block, 0) * (sbyte)block[2 + i],
        TensorType.Q2_K => Q2K(block, i),
        TensorType.Q3_K => Q3K(block, i),
        TensorType.Q4_K => Half(block, 0) * SixBitScale(block[4..16], i / 32) * NibbleOf64(block[16..], i)
            - Half(block, 2) * SixBitMinimum(block[4..16], i / 32),
        TensorType.Q5_K => Half(block, 0) * SixBitScale(block[4..16], i / 32) * (NibbleOf64(block[48..], i) + 16 * (block[16 + i % 32] >> i / 32 & 1))
            - Half(block, 2) * SixBitMinimum(block[4..16], i / 32),
        TensorType.Q6_K => Q6K(block, i),
        _ when ReferenceGroupWeights.Has(type) => ReferenceGroupWeights.Weight(type, block, i),
        _ => ReferenceTableWeights.Weight(type, block, i),
    };

    // scales[16], qs[64], d, dmin; each 128 weights in 32 bytes, two bits a weight, 32 weights to a bit pair
    private static double Q2K(ReadOnlySpan<byte> block, int i)
    {
        byte scale = block[i / 16];
        int q = block[16 + i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3;
        return Half(block, 80) * (scale & 15) * q - Half(block, 82) * (scale >> 4);
    }

    // hmask[32], qs[64], scales[12], d; a clear bit of hmask means minus 4
    private static double Q3K(ReadOnlySpan<byte> block, int i)
    {
        int q = block[32 + i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3;
        if ((block[i % 32] >> i / 32 & 1) == 0) q -= 4;
        ReadOnlySpan<byte> scales = block[96..108];
        int group = i / 16;
        int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
        int high = scales[8 + group % 4] >> 2 * (group / 4) & 3;
        return Half(block, 108) * (low + 16 * high - 32) * q;
    }

    // ql[128], qh[64], scales[16] signed, d; each 128 weights in 64 bytes of ql and 32 of qh
    private static double Q6K(ReadOnlySpan<byte> block, int i)
    {
        int half = i / 128, quarter = i % 128 / 32, l = i % 32;
        int low = block[half * 64 + quarter % 2 * 32 + l] >> 4 * (quarter / 2) & 15;
        int high = block[128 + half * 32 + l] >> 2 * quarter & 3;
        return Half(block, 208) * (sbyte)block[192 + i / 16] * (low + 16 * high - 32);
    }

    private static int SixBitScale(ReadOnlySpan<byte> packed, int group) =>
        group < 4 ? packed[group] & 63 : packed[group + 4] & 15 | packed[group - 4] >> 6 << 4;

    private static int SixBitMinimum(ReadOnlySpan<byte> packed, int group) =>
        group < 4 ? packed[group + 4] & 63 : packed[group + 4] >> 4 | packed[group] >> 6 << 4;

    private static int Nibble(ReadOnlySpan<byte> bytes, int i) => i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4;

    private static int NibbleOf64(ReadOnlySpan<byte> bytes, int i) => bytes[i / 64 * 32 + i % 32] >> (i % 64 < 32 ? 0 : 4) & 15;

    private static int Bit(ReadOnlySpan<byte> bytes, int i) => bytes[i / 8] >> i % 8 & 1;

    private static double Half(ReadOnlySpan<byte> bytes, int offset) => (double)BinaryPrimitives.ReadHalfLittleEndian(bytes[offset..]);
}
