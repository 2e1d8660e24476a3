using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d, 32 bytes that with three bits more choose points of <see cref="Codebooks.Grid1"/>, eight weights each; for each 32 weights a word of four times these
/// three bits, a 3-bit scale s, and a sign: weight <c>d * (2 s + 1) * (point +- 1/8)</c>. The grid holds eight times the point.
/// </summary>
internal readonly unsafe struct IQ1_SFormat : ITableFormat<IQ1_SFormat>
{
    public static TensorType Type => TensorType.IQ1_S;

    public static int BlockLength => 256;

    public static int BlockBytes => 50;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        float unit = HalfTable.Load(block) * 0.125f;
        byte* points = block + 2;
        for (int group = 0; group < 8; group++)
        {
            uint word = Unsafe.ReadUnaligned<ushort>(block + 34 + (2 * group));
            scales[2 * group] = scales[(2 * group) + 1] = unit * ((2 * ((word >> 12) & 7)) + 1);
            bool minus = word >> 15 != 0;
            for (int i = 0; i < 4; i++, word >>= 3, values += 8) Codebooks.StoreShifted(values, Codebooks.Grid1[*points++ | ((word & 7) << 8)], minus);
        }
    }
}
