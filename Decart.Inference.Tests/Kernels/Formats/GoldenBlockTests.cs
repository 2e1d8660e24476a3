using System.Runtime.InteropServices;
using System.Security.Cryptography;
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

    /// <summary>
    /// 1,024 blocks of pseudo-random bytes as llama.cpp of 2026 reads them, so many that every entry of every table is met: SHA-256 of the float32 weights,
    /// of which zeros have no sign.
    /// </summary>
    [TestCase(TensorType.Q4_0, "3525B3D6BE7F6730038CBDE4EF5DFDDF1E5D6B09ADD3E3B7BA1F2D88DC9C2591")]
    [TestCase(TensorType.Q4_1, "CEB1383E181EAD8DD1DFCF9474CCA0518EFBC99AD1E028A77C49DD18E0D12077")]
    [TestCase(TensorType.Q5_0, "2937331F7A43D53F69EE312F3725CD8F1DF8503408A53FD2585EF8C9CEE5FFCA")]
    [TestCase(TensorType.Q5_1, "9F693F553895C9FCA62624F2BE756D3C1FED19935A2BA479FAC544B59C0A8024")]
    [TestCase(TensorType.Q8_0, "5BF7B0DE2EFE84E3DB32B33A02961737090E9AEC1494080ED12F5664D558313A")]
    [TestCase(TensorType.Q2_K, "FC9101580C4722BD06EC92C65A6CE2A9854E4E45065AE0C428B5F52C9718614C")]
    [TestCase(TensorType.Q3_K, "2A539CDC96CDA6F18567D5627EEE81204457DC7CB52E099FB5BCE00C1F93F2E5")]
    [TestCase(TensorType.Q4_K, "4CB7DE7CEF12BBEF6CC01B9936C0C5C73FAEC1FF972FBBBC186FC8E86892442C")]
    [TestCase(TensorType.Q5_K, "6A63BA2DA239A3AFC3AFA6C16EB8CC0BB66CE3E40A290D656D2599C74E9F4E98")]
    [TestCase(TensorType.Q6_K, "D777754654947309A18288541AB7C458E4EB998218367574ACA5049CF0301332")]
    [TestCase(TensorType.IQ4_NL, "41AC38D921055CCB410952041C534953704532F699A5C97F3A593FC1BF7DCC92")]
    [TestCase(TensorType.IQ4_XS, "4A39DB2516099336CEB847220DEA1724A4CB987A50824E1366BE6D9FBCCB3406")]
    [TestCase(TensorType.IQ3_S, "B2B7CCA11C5D289B377F6AEEF973A698E705C470670C2564F72FEA879B10177D")]
    [TestCase(TensorType.IQ3_XXS, "4065299AAA0DE78048CF144D05F6792622319287026330F7063058D4495D60DF")]
    [TestCase(TensorType.IQ2_S, "2B7F8C15B33315CFDFBA0B21BA04D66900922C957B61752CD1EB89205CF4715A")]
    [TestCase(TensorType.IQ2_XS, "D7B8886D84B8B0BB1ABB55096617340B19D47FB9DCE6D5A2F997709500A9D85B")]
    [TestCase(TensorType.IQ2_XXS, "0C0F8E596AE8A26C2D50C0313C4B9E914C6E6B05AA308FA0E503D9A8C3082691")]
    [TestCase(TensorType.IQ1_S, "34882B68E0110341C49C8DFDD159872B3B9D704373A7BE4502F2FD13AE6BCC38")]
    [TestCase(TensorType.IQ1_M, "1C9B5B68F96013F829FFC651A6EE07EED3FCD942F097F3267A17287039D6EF97")]
    [TestCase(TensorType.Q8_K, "B2E27AD1B423C3C111467E0D9B22760BFFFA09FA760BD598A630C8A3454C75CA")]
    [TestCase(TensorType.TQ1_0, "CD242F928E4CDC36F7B397E87BDF186E9C5F5C657FFE6ECC5770B16B5662A497")]
    [TestCase(TensorType.TQ2_0, "F8BDA774F92EB4C7C9B39908883A6922FFFEA237F2BB624E76D247828675572E")]
    [TestCase(TensorType.MXFP4, "402C324112D00A22B4A6F7ED059C5E841E49772416C3BC520722E1E40DCA3F71")]
    public void Weights_of_many_blocks_are_those_of_ggml(TensorType type, string hash)
    {
        const int Blocks = 1024;
        byte[] blocks = new byte[Blocks * type.BlockBytes()];
        ulong state = 1;
        for (int i = 0; i < blocks.Length; i++)
        {
            state = (state * 6364136223846793005) + 1442695040888963407;
            blocks[i] = (byte)(state >> 56);
        }
        for (int i = 0; i < Blocks; i++) ReferenceWeights.MakeFinite(type, blocks.AsSpan(i * type.BlockBytes(), type.BlockBytes()));
        float[] decoded = new float[Blocks * type.BlockLength()];
        fixed (byte* source = blocks)
        fixed (float* destination = decoded)
            TensorDecoder.DecodeRow(new StoredTensor("golden", type, [decoded.Length], (nint)source), 0, destination);
        for (int i = 0; i < decoded.Length; i++) decoded[i] += 0f;
        Assert.That(Convert.ToHexString(SHA256.HashData(MemoryMarshal.AsBytes<float>(decoded))), Is.EqualTo(hash));
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
