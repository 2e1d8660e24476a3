using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d, 32 bytes that with two bits more from the 8 bytes after the signs choose points of <see cref="Codebooks.Grid2S"/>, eight weights each, 32 bytes of
/// signs, and a nibble s for each 16 weights: weight <c>d * (s + 1/2) / 4 * point</c>.
/// </summary>
internal readonly unsafe struct IQ2_SFormat : ITableFormat<IQ2_SFormat>
{
    public static TensorType Type => TensorType.IQ2_S;

    public static int BlockLength => 256;

    public static int BlockBytes => 82;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        float unit = HalfTable.Load(block) * 0.125f;
        byte* points = block + 2, signs = block + 34;
        for (int group = 0; group < 16; group++)
        {
            scales[group] = unit * ((2 * ((block[74 + (group / 2)] >> (4 * (group % 2))) & 15)) + 1);
            uint upper = (uint)block[66 + (group / 2)] << (8 - (4 * (group % 2)));
            for (int i = 0; i < 2; i++, upper >>= 2, values += 8) Codebooks.Store(values, Codebooks.Grid2S[*points++ | (upper & 768)], *signs++);
        }
    }
}
