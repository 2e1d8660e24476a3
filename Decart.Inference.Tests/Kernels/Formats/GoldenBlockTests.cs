using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels.Formats;

/// <summary>One block of each format with the weights that ggml's <c>dequantize_row_*</c> (llama.cpp, 2026) reads from it.</summary>
internal sealed unsafe class GoldenBlockTests
{
    /// <param name="type">The format.</param>
    /// <param name="weightedSum">The sum of (i + 1) * weight i over the whole block.</param>
    /// <param name="weights">Every fifth weight of 32, every seventeenth of 256.</param>
    [TestCase(TensorType.Q4_0, 0.651824951171875, new[]
    {
        -0.0860900879f, -0.036895752f, -0.012298584f, -0.012298584f, 0.0737915039f, 0.0860900879f, -0.036895752f
    })]
    [TestCase(TensorType.Q4_1, 27.75299072265625, new[]
    {
        0.138885498f, 0.138885498f, 0.11428833f, 0.0650939941f, 0.138885498f, 0.0527954102f, 0.0527954102f
    })]
    [TestCase(TensorType.Q5_0, 8.203155517578125, new[]
    {
        0.0614929199f, 0.012298584f, -0.0614929199f, 0.036895752f, -0.159881592f, 0.0614929199f, 0.159881592f
    })]
    [TestCase(TensorType.Q5_1, 85.7777099609375, new[]
    {
        0.188079834f, 0.0896911621f, -0.0332946777f, 0.0158996582f, 0.0896911621f, 0.0281982422f, 0.23727417f
    })]
    [TestCase(TensorType.Q8_0, -80.28515625, new[]
    {
        1.38973999f, 1.24215698f, -0.897796631f, 1.26675415f, 1.43893433f, -0.381256104f, -1.04537964f
    })]
    [TestCase(TensorType.Q2_K, 17976.546875, new[]
    {
        0.405853271f, 0.395050049f, 0.319152832f, 0.722900391f, 0.18447876f, 0.356048584f, 0.699798584f, 0.33505249f, 0.794586182f, 0.918182373f,
        0.358154297f, 0.683898926f, 0.673706055f, 0.364746094f, 0.27355957f, 0.227966309f
    })]
    [TestCase(TensorType.Q3_K, 382.043212890625, new[]
    {
        0.996185303f, 0.848602295f, 0.737915039f, 0.172180176f, -0.418151855f, -0.934692383f, -0.24597168f, 0.664123535f, -0.0737915039f,
        0.18447876f, -0.0737915039f, 0f, -0.36895752f, -0.110687256f, -0.0983886719f, 0f
    })]
    [TestCase(TensorType.Q4_K, 172689.22216796875, new[]
    {
        4.35452271f, 3.61660767f, 5.70172119f, 6.32894897f, 9.42453003f, 3.96395874f, 6.32949829f, 3.14416504f, 2.94827271f, 3.98135376f,
        4.48022461f, 4.81228638f, 5.52505493f, 8.52590942f, 4.19973755f, 7.05300903f
    })]
    [TestCase(TensorType.Q5_K, 285216.34619140625, new[]
    {
        7.30618286f, 6.56826782f, 6.95617676f, 5.07449341f, 16.7052917f, 3.96395874f, 7.23959351f, 2.23406982f, 2.94827271f, 3.98135376f,
        5.14434814f, 4.14816284f, 5.52505493f, 20.5293274f, 10.6195984f, 6.33969116f
    })]
    [TestCase(TensorType.Q6_K, -31719.3271484375, new[]
    {
        -17.5992737f, 33.6612244f, -18.6815491f, -0.774810791f, 19.2841797f, -1.89398193f, 17.9067383f, 5.59585571f, -17.9928284f, -18.6815491f,
        -0.774810791f, -18.6815491f, -1.46353149f, 0.651824951f, -11.0687256f, 31.6565552f
    })]
    public void Weights_are_those_of_ggml(TensorType type, double weightedSum, float[] weights)
    {
        float[] decoded = new float[type.BlockLength()];
        fixed (byte* block = PatternBlock(type))
        fixed (float* destination = decoded)
            TensorDecoder.DecodeRow(new StoredTensor("golden", type, [decoded.Length], (nint)block), 0, destination);
        int step = decoded.Length == 32 ? 5 : 17;
        Assert.That(decoded.Where((_, i) => i % step == 0), Is.EqualTo(weights));
        Assert.That(decoded.Select((weight, i) => (i + 1) * (double)weight).Sum(), Is.EqualTo(weightedSum).Within(1e-9));
    }

    /// <summary>Worked out by hand: two nibbles, fifth bits, a signed byte, a minimum.</summary>
    [TestCase(TensorType.Q4_0, "0038 F0", 0, -4f)] // 0.5 * (0 - 8)
    [TestCase(TensorType.Q4_0, "0038 F0", 16, 3.5f)] // 0.5 * (15 - 8)
    [TestCase(TensorType.Q4_1, "0038 00C0 9A", 0, 3f)] // 0.5 * 10 - 2
    [TestCase(TensorType.Q4_1, "0038 00C0 9A", 16, 2.5f)] // 0.5 * 9 - 2
    [TestCase(TensorType.Q5_0, "0038 01000000 F3", 0, 1.5f)] // 0.5 * (3 + 16 - 16)
    [TestCase(TensorType.Q5_0, "0038 01000000 F3", 16, -0.5f)] // 0.5 * (15 - 16)
    [TestCase(TensorType.Q5_1, "0038 00C0 00000100 F3", 16, 13.5f)] // 0.5 * (15 + 16) - 2
    [TestCase(TensorType.Q8_0, "0038 7F80", 0, 63.5f)]
    [TestCase(TensorType.Q8_0, "0038 7F80", 1, -64f)]
    [TestCase(TensorType.Q4_K, "0038 003C 03000000 05000000 00000000 A7", 0, 5.5f)] // 0.5 * 3 * 7 - 1 * 5
    [TestCase(TensorType.Q5_K, "0038 003C 03000000 05000000 00000000 01", 0, 19f)] // 0.5 * 3 * (0 + 16) - 1 * 5
    public void Weights_are_those_of_the_definition(TensorType type, string hex, int index, float weight)
    {
        byte[] block = new byte[type.BlockBytes()];
        Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)).CopyTo(block, 0);
        float[] decoded = new float[type.BlockLength()];
        fixed (byte* source = block)
        fixed (float* destination = decoded)
            TensorDecoder.DecodeRow(new StoredTensor("golden", type, [decoded.Length], (nint)source), 0, destination);
        Assert.That(decoded[index], Is.EqualTo(weight));
    }

    private static byte[] PatternBlock(TensorType type)
    {
        byte[] block = new byte[type.BlockBytes()];
        for (int i = 0; i < block.Length; i++) block[i] = (byte)((i * i * 7) + (i * 37) + 11);
        int[] halves = ReferenceWeights.HalfOffsets(type);
        for (int i = 0; i < halves.Length; i++) BitConverter.TryWriteBytes(block.AsSpan(halves[i]), (Half)(i == 0 ? 0.0123 : -0.0456));
        return block;
    }
}
