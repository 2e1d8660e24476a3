using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 d, 32 words of which 9 bits choose a point of <see cref="Codebooks.Grid2XS"/>, eight weights, and 7 are their signs as in IQ3_XXS, and a nibble s for
/// each 16 weights: weight <c>d * (s + 1/2) / 4 * point</c>.
/// </summary>
internal readonly unsafe struct IQ2_XSFormat : ITableFormat<IQ2_XSFormat>
{
    public static TensorType Type => TensorType.IQ2_XS;

    public static int BlockLength => 256;

    public static int BlockBytes => 74;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        float unit = HalfTable.Load(block) * 0.125f;
        for (int group = 0; group < 16; group++, values += 16)
        {
            scales[group] = unit * ((2 * ((block[66 + (group / 2)] >> (4 * (group % 2))) & 15)) + 1);
            uint words = Unsafe.ReadUnaligned<uint>(block + 2 + (4 * group));
            Codebooks.Store(values, Codebooks.Grid2XS[words & 511], Codebooks.EvenSigns(words >> 9));
            Codebooks.Store(values + 8, Codebooks.Grid2XS[(words >> 16) & 511], Codebooks.EvenSigns(words >> 25));
        }
    }
}
