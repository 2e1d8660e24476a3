using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d, 64 bytes that with a ninth bit from the 8 bytes after them choose points of <see cref="Codebooks.Grid3S"/>, four weights each, 32 bytes of signs, and
/// a nibble s for each 32 weights: weight <c>d * (2 s + 1) * point</c>.
/// </summary>
internal readonly unsafe struct IQ3_SFormat : ITableFormat<IQ3_SFormat>
{
    public static TensorType Type => TensorType.IQ3_S;

    public static int BlockLength => 256;

    public static int BlockBytes => 110;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        float unit = HalfTable.Load(block);
        byte* points = block + 2, signs = block + 74;
        uint nibbles = Unsafe.ReadUnaligned<uint>(block + 106);
        for (int group = 0; group < 8; group++, nibbles >>= 4)
        {
            scales[2 * group] = scales[(2 * group) + 1] = unit * ((2 * (nibbles & 15)) + 1);
            uint ninth = (uint)block[66 + group] << 8;
            for (int i = 0; i < 4; i++, ninth >>= 2, points += 2, values += 8)
                Codebooks.Store(values, Codebooks.Grid3S[points[0] | (ninth & 256)], Codebooks.Grid3S[points[1] | ((ninth >> 1) & 256)], *signs++);
        }
    }
}
