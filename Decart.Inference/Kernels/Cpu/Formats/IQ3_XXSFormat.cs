using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d, 64 bytes that each choose a point of <see cref="Codebooks.Grid3XXS"/>, four weights; then for each 32 weights a word: four times 7 signs, of which
/// the eighth makes the number of minus signs even, and a 4-bit scale s on top: weight <c>d * (s + 1/2) / 2 * point</c>.
/// </summary>
internal readonly unsafe struct IQ3_XXSFormat : ITableFormat<IQ3_XXSFormat>
{
    public static TensorType Type => TensorType.IQ3_XXS;

    public static int BlockLength => 256;

    public static int BlockBytes => 98;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        float unit = HalfTable.Load(block) * 0.25f;
        byte* points = block + 2, words = block + 66;
        for (int group = 0; group < 8; group++)
        {
            uint word = Unsafe.ReadUnaligned<uint>(words + (4 * group));
            scales[2 * group] = scales[(2 * group) + 1] = unit * ((2 * (word >> 28)) + 1);
            for (int i = 0; i < 4; i++, word >>= 7, points += 2, values += 8)
                Codebooks.Store(values, Codebooks.Grid3XXS[points[0]], Codebooks.Grid3XXS[points[1]], Codebooks.EvenSigns(word));
        }
    }
}
