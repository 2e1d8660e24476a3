using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d; for each 32 weights four bytes that choose points of <see cref="Codebooks.Grid2XXS"/>, eight weights each, and a word of signs and scale s as in
/// IQ3_XXS: weight <c>d * (s + 1/2) / 4 * point</c>.
/// </summary>
internal readonly unsafe struct IQ2_XXSFormat : ITableFormat<IQ2_XXSFormat>
{
    public static TensorType Type => TensorType.IQ2_XXS;

    public static int BlockLength => 256;

    public static int BlockBytes => 66;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        float unit = HalfTable.Load(block) * 0.125f;
        byte* points = block + 2;
        for (int group = 0; group < 8; group++, points += 8)
        {
            uint word = Unsafe.ReadUnaligned<uint>(points + 4);
            scales[2 * group] = scales[(2 * group) + 1] = unit * ((2 * (word >> 28)) + 1);
            for (int i = 0; i < 4; i++, word >>= 7, values += 8) Codebooks.Store(values, Codebooks.Grid2XXS[points[i]], Codebooks.EvenSigns(word));
        }
    }
}
