using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// f16 scale d, 16 bytes of nibbles q lying as in Q4_0: weight <c>d * table[q]</c> with the unevenly spaced <see cref="Codebooks.NonLinear"/>.
/// </summary>
internal readonly unsafe struct IQ4_NLFormat : ITableFormat<IQ4_NLFormat>
{
    public static TensorType Type => TensorType.IQ4_NL;

    public static int BlockLength => 32;

    public static int BlockBytes => 18;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        Codebooks.LookUpNibbles(Codebooks.NonLinear, block + 2, values);
        scales[0] = scales[1] = HalfTable.Load(block);
    }
}
