using System.Runtime.InteropServices;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu;

namespace Decart.Inference.Tests.Kernels;

internal sealed unsafe class MatMulFormatTests
{
    [Test]
    public void Every_f16_value_is_widened_exactly()
    {
        var bits = new ushort[65536];
        for (int i = 0; i < bits.Length; i++) bits[i] = (ushort)i;
        float[] values = Decode(TensorType.F16, MemoryMarshal.AsBytes<ushort>(bits), bits.Length);
        for (int i = 0; i < bits.Length; i++)
        {
            float expected = (float)BitConverter.UInt16BitsToHalf((ushort)i);
            if (float.IsNaN(expected)) Assert.That(values[i], Is.NaN);
            else Assert.That(BitConverter.SingleToUInt32Bits(values[i]), Is.EqualTo(BitConverter.SingleToUInt32Bits(expected)), $"of {i:x4}");
        }
    }

    [Test]
    public void Every_bf16_value_is_widened_exactly()
    {
        var bits = new ushort[65536];
        for (int i = 0; i < bits.Length; i++) bits[i] = (ushort)i;
        float[] values = Decode(TensorType.BF16, MemoryMarshal.AsBytes<ushort>(bits), bits.Length);
        for (int i = 0; i < bits.Length; i++) Assert.That(BitConverter.SingleToUInt32Bits(values[i]), Is.EqualTo((uint)i << 16));
    }

    [Test]
    public void Rows_are_decoded_from_any_part_and_in_any_length([Values(1, 15, 16, 50)] int columns)
    {
        using var weight = new MatMulTestWeight(columns, new Random(2), (TensorType.F16, 2), (TensorType.F32, 1), (TensorType.BF16, 3));
        var row = new float[columns];
        for (int i = 0; i < 6; i++)
        {
            weight.Weight.DecodeRow(i, row);
            Assert.That(row, Is.EqualTo(weight.Values[i]));
        }
    }

    private static float[] Decode(TensorType type, ReadOnlySpan<byte> encoded, int columns)
    {
        var values = new float[columns];
        fixed (byte* data = encoded)
        {
            using var weight = new CpuWeight(StoredTensors.AsWeight(new StoredTensor("all values", type, [columns], (nint)data)));
            weight.DecodeRow(0, values);
        }
        return values;
    }
}
