using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Tests.Kernels.Formats;

internal sealed unsafe class HalfTableTests
{
    [Test]
    public void Every_bit_pattern_is_read_as_the_runtime_reads_it()
    {
        byte* unaligned = stackalloc byte[3];
        for (int bits = 0; bits <= ushort.MaxValue; bits++)
        {
            unaligned[1] = (byte)bits;
            unaligned[2] = (byte)(bits >> 8);
            int found = BitConverter.SingleToInt32Bits(HalfTable.Load(unaligned + 1));
            int expected = BitConverter.SingleToInt32Bits((float)BitConverter.UInt16BitsToHalf((ushort)bits));
            if (found != expected) Assert.Fail($"Bits {bits:X4}: {found:X8}, expected {expected:X8}.");
        }
    }
}
