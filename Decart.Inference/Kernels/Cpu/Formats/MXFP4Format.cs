using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// An exponent byte e, 16 bytes of nibbles q lying as in Q4_0, each a float of 2 exponent bits and 1 mantissa bit (OCP Microscaling):
/// weight <c>2^(e - 128) * table[q]</c>, where the table holds twice the float's value.
/// </summary>
internal readonly unsafe struct MXFP4Format : ITableFormat<MXFP4Format>
{
    public static TensorType Type => TensorType.MXFP4;

    public static int BlockLength => 32;

    public static int BlockBytes => 17;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        Codebooks.LookUpNibbles(Codebooks.TwiceE2M1, block + 1, values);
        scales[0] = scales[1] = HalfOfExponent(block[0]);
    }

    /// <summary>2^(e - 128), of which the smallest two are subnormal numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float HalfOfExponent(byte exponent) =>
        BitConverter.UInt32BitsToSingle(exponent < 2 ? 0x0020_0000u << exponent : (exponent - 1u) << 23);
}
