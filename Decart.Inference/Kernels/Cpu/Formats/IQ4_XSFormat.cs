using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d, a word with the upper two bits of the 6-bit scales s of each 32 weights, 4 bytes of their low nibbles, 128 bytes of nibbles q, each 16 bytes
/// lying as in Q4_0: weight <c>d * (s - 32) * table[q]</c> with the table of IQ4_NL.
/// </summary>
internal readonly unsafe struct IQ4_XSFormat : ITableFormat<IQ4_XSFormat>
{
    public static TensorType Type => TensorType.IQ4_XS;

    public static int BlockLength => 256;

    public static int BlockBytes => 136;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        float unit = HalfTable.Load(block);
        uint upper = Unsafe.ReadUnaligned<ushort>(block + 2), lower = Unsafe.ReadUnaligned<uint>(block + 4);
        for (int group = 0; group < 8; group++, upper >>= 2, lower >>= 4)
        {
            scales[2 * group] = scales[(2 * group) + 1] = unit * ((int)((lower & 15) | ((upper & 3) << 4)) - 32);
            Codebooks.LookUpNibbles(Codebooks.NonLinear, block + 8 + (16 * group), values + (32 * group));
        }
    }
}
