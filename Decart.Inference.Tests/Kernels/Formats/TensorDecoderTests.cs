using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels.Formats;

internal sealed unsafe class TensorDecoderTests
{
    private readonly Random _random = new(11);

    [Test]
    public void Rows_of_blocks_are_found_and_decoded([Values(
        TensorType.Q4_0, TensorType.Q4_1, TensorType.Q5_0, TensorType.Q5_1, TensorType.Q8_0,
        TensorType.Q2_K, TensorType.Q3_K, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K,
        TensorType.IQ4_NL, TensorType.IQ4_XS, TensorType.IQ3_S, TensorType.IQ1_M, TensorType.Q8_K, TensorType.TQ1_0, TensorType.MXFP4)] TensorType type)
    {
        const int Rows = 3, Blocks = 5;
        byte[] bytes = new byte[Rows * Blocks * type.BlockBytes()];
        _random.NextBytes(bytes);
        for (int block = 0; block < Rows * Blocks; block++)
        {
            ReferenceWeights.MakeFinite(type, bytes.AsSpan(block * type.BlockBytes(), type.BlockBytes()));
            foreach (int offset in ReferenceWeights.HalfOffsets(type))
                BitConverter.TryWriteBytes(bytes.AsSpan((block * type.BlockBytes()) + offset), (Half)_random.NextSingle());
        }
        for (int row = 0; row < Rows; row++)
        {
            List<float> expected = [];
            for (int block = row * Blocks; block < (row + 1) * Blocks; block++)
                expected.AddRange(ReferenceWeights.Decode(type, bytes.AsSpan(block * type.BlockBytes(), type.BlockBytes())).Select(w => (float)w));
            Assert.That(DecodeRow(type, bytes, [Rows, Blocks * type.BlockLength()], row), Is.EqualTo(expected));
        }
    }

    [Test]
    public void Plain_rows_of_any_length_are_widened(
        [Values(1, 15, 16, 33)] int columns, [Values(TensorType.F32, TensorType.F16, TensorType.BF16)] TensorType type)
    {
        const int Rows = 2;
        float[] values = new float[Rows * columns];
        for (int i = 0; i < values.Length; i++) values[i] = _random.Next(-1000, 1000) / 8f;
        byte[] bytes = [.. values.SelectMany(value => type switch
        {
            TensorType.F32 => BitConverter.GetBytes(value),
            TensorType.F16 => BitConverter.GetBytes((Half)value),
            _ => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)),
        })];
        if (type == TensorType.BF16)
        {
            for (int i = 0; i < values.Length; i++) values[i] = BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(values[i]) & 0xFFFF_0000);
        }
        Assert.That(DecodeRow(type, bytes, [Rows, columns], 1), Is.EqualTo(values[columns..]));
    }

    [Test]
    public void A_type_without_weights_is_named_with_its_tensor([Values(TensorType.I8, TensorType.F8E4M3, TensorType.F64, TensorType.Bool)] TensorType type) =>
        Assert.That(
            () => DecodeRow(type, new byte[64], [1, 4], 0),
            Throws.TypeOf<ModelLoadException>().With.Message.Contains("blk.0.test.weight").And.Message.Contains(type.ToString()));

    [Test]
    public void A_row_that_ends_within_a_block_is_refused() =>
        Assert.That(() => DecodeRow(TensorType.Q4_K, new byte[288], [1, 300], 0), Throws.TypeOf<ModelLoadException>().With.Message.Contains("300"));

    [Test]
    public void A_row_outside_the_tensor_is_refused([Values(-1, 2)] int row) =>
        Assert.That(() => DecodeRow(TensorType.Q8_0, new byte[68], [2, 32], row), Throws.TypeOf<ArgumentOutOfRangeException>());

    private static float[] DecodeRow(TensorType type, byte[] bytes, long[] shape, long row)
    {
        float[] decoded = new float[shape[^1]];
        fixed (byte* data = bytes)
        fixed (float* destination = decoded)
            TensorDecoder.DecodeRow(new StoredTensor("blk.0.test.weight", type, [.. shape], (nint)data), row, destination);
        return decoded;
    }
}
