using System.Buffers.Binary;
using System.Numerics;
using Decart.Inference.Checkpoints;
using Decart.Inference.Kernels.Cpu.Formats;

namespace Decart.Inference.Tests.Kernels.Formats;

/// <summary>The block formats that look values up, written down weight by weight as in <see cref="ReferenceWeights"/>; the grids are those under test.</summary>
internal static unsafe class ReferenceTableWeights
{
    private static readonly int[] NonLinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
    private static readonly double[] E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

    public static double Weight(TensorType type, ReadOnlySpan<byte> block, int i) => type switch
    {
        TensorType.IQ4_NL => Half(block, 0) * NonLinear[Nibble(block[2..], i)],
        TensorType.IQ4_XS => Half(block, 0) * (BitsOf(block[4..], 4 * (i / 32), 4) + 16 * BitsOf(block[2..], 2 * (i / 32), 2) - 32)
            * NonLinear[Nibble(block[(8 + i / 32 * 16)..], i % 32)],
        TensorType.IQ3_S => Half(block, 0) * (2 * BitsOf(block[106..], 4 * (i / 32), 4) + 1)
            * Coordinate((byte*)(Codebooks.Grid3S + block[2 + i / 4] + 256 * BitsOf(block[66..], i / 4, 1)), i % 4) * Sign(block[74..], i),
        TensorType.IQ3_XXS => Half(block, 0) * (BitsOf(block[66..], i / 32 * 32 + 28, 4) + 0.5) / 2
            * Coordinate((byte*)(Codebooks.Grid3XXS + block[2 + i / 4]), i % 4) * EvenSign(BitsOf(block[66..], i / 32 * 32 + i % 32 / 8 * 7, 7), i % 8),
        TensorType.IQ2_S => Half(block, 0) * (BitsOf(block[74..], 4 * (i / 16), 4) + 0.5) / 4
            * Coordinate((byte*)(Codebooks.Grid2S + block[2 + i / 8] + 256 * BitsOf(block[66..], 2 * (i / 8), 2)), i % 8) * Sign(block[34..], i),
        TensorType.IQ2_XS => Half(block, 0) * (BitsOf(block[66..], 4 * (i / 16), 4) + 0.5) / 4
            * Coordinate((byte*)(Codebooks.Grid2XS + BitsOf(block[2..], i / 8 * 16, 9)), i % 8) * EvenSign(BitsOf(block[2..], i / 8 * 16 + 9, 7), i % 8),
        TensorType.IQ2_XXS => Half(block, 0) * (BitsOf(block[2..], i / 32 * 64 + 60, 4) + 0.5) / 4
            * Coordinate((byte*)(Codebooks.Grid2XXS + block[2 + i / 32 * 8 + i % 32 / 8]), i % 8)
            * EvenSign(BitsOf(block[2..], i / 32 * 64 + 32 + i % 32 / 8 * 7, 7), i % 8),
        TensorType.IQ1_S => Half(block, 0) * (2 * BitsOf(block[34..], i / 32 * 16 + 12, 3) + 1)
            * One(block[2 + i / 8] + 256 * BitsOf(block[34..], i / 32 * 16 + i % 32 / 8 * 3, 3), i % 8, BitsOf(block[34..], i / 32 * 16 + 15, 1)),
        TensorType.IQ1_M => SpreadHalf(block[48..]) * (2 * BitsOf(block[48..], i / 64 * 16 + i % 64 / 16 * 3, 3) + 1)
            * One(block[i / 8] + 256 * BitsOf(block[32..], i / 8 * 4, 3), i % 8, BitsOf(block[32..], i / 8 * 4 + 3, 1)),
        TensorType.Q8_K => BinaryPrimitives.ReadSingleLittleEndian(block) * (double)(sbyte)block[4 + i],
        TensorType.TQ1_0 => Half(block, 52) * (TernaryDigit(block, i) - 1),
        TensorType.TQ2_0 => Half(block, 64) * ((block[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32) & 3) - 1),
        TensorType.MXFP4 => Math.Pow(2, block[0] - 127) * E2M1[Nibble(block[1..], i) & 7] * (Nibble(block[1..], i) < 8 ? 1 : -1),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };

    private static double TernaryDigit(ReadOnlySpan<byte> block, int i)
    {
        (int source, int digit) = i < 160 ? (i % 32, i / 32) : i < 240 ? (32 + i % 16, (i - 160) / 16) : (48 + i % 4, (i - 240) / 4);
        return (byte)(block[source] * (int)Math.Pow(3, digit)) * 3 / 256;
    }

    private static double One(int index, int coordinate, int minus) => (Coordinate((byte*)(Codebooks.Grid1 + index), coordinate) / 8.0) + (minus == 0 ? 0.125 : -0.125);

    private static int Coordinate(byte* point, int i) => (sbyte)point[i];

    private static int Sign(ReadOnlySpan<byte> signs, int i) => 1 - 2 * BitsOf(signs, i, 1);

    private static int EvenSign(int seven, int i) => 1 - 2 * (i < 7 ? seven >> i & 1 : BitOperations.PopCount((uint)seven) % 2);

    private static int Nibble(ReadOnlySpan<byte> bytes, int i) => i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4;

    /// <summary>Up to nine bits from any bit on, the lowest first.</summary>
    private static int BitsOf(ReadOnlySpan<byte> bytes, int first, int count)
    {
        int value = 0;
        for (int i = 0; i < count; i++) value |= (bytes[(first + i) / 8] >> (first + i) % 8 & 1) << i;
        return value;
    }

    private static double SpreadHalf(ReadOnlySpan<byte> words)
    {
        int bits = 0;
        for (int i = 0; i < 4; i++) bits |= words[2 * i + 1] >> 4 << 4 * i;
        return (double)BitConverter.UInt16BitsToHalf((ushort)bits);
    }

    private static double Half(ReadOnlySpan<byte> bytes, int offset) => (double)BinaryPrimitives.ReadHalfLittleEndian(bytes[offset..]);
}
