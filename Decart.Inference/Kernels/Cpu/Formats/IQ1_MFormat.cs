using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Kernels.Cpu.Formats;

/// <summary>
/// 32 bytes that with three bits more choose points of <see cref="Codebooks.Grid1"/>, eight weights each; 16 bytes, two for each 32 weights, of which each
/// nibble holds such bits and a sign; four words, each a nibble of f16 d on top of four 3-bit scales s for 16 weights each: weight as in IQ1_S.
/// </summary>
internal readonly unsafe struct IQ1_MFormat : ITableFormat<IQ1_MFormat>
{
    /// <summary>Where the words are in a block.</summary>
    private const int WordsOffset = 48;

    public static TensorType Type => TensorType.IQ1_M;

    public static int BlockLength => 256;

    public static int BlockBytes => 56;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Unpack(byte* block, sbyte* values, float* scales)
    {
        ushort bits = LoadScale(block);
        float unit = HalfTable.Load((byte*)&bits) * 0.125f;
        byte* points = block;
        for (int group = 0; group < 16; group++)
        {
            uint packed = Unsafe.ReadUnaligned<ushort>(block + WordsOffset + (group / 4 * 2));
            scales[group] = unit * ((2 * ((packed >> (3 * (group % 4))) & 7)) + 1);
            uint nibbles = block[32 + group];
            for (int i = 0; i < 2; i++, nibbles >>= 4, values += 8)
                Codebooks.StoreShifted(values, Codebooks.Grid1[*points++ | ((nibbles & 7) << 8)], (nibbles & 8) != 0);
        }
    }

    /// <summary>The scale of a block, a half whose nibbles are the words' upper ones, the lowest first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort LoadScale(byte* block)
    {
        ulong all = Unsafe.ReadUnaligned<ulong>(block + WordsOffset);
        return (ushort)(((all >> 12) & 0xF) | ((all >> 24) & 0xF0) | ((all >> 36) & 0xF00) | ((all >> 48) & 0xF000));
    }
}
