using System.Runtime.CompilerServices;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Models.Quantisation;

/// <summary>Unsigned codes of 4 or 8 bits in 32-bit words, the lowest bits first.</summary>
internal static unsafe class PackedCodes
{
    public const int WordBits = 32;

    /// <summary>Words that hold that many codes.</summary>
    public static long Words(long codes, int bits) => (codes + (WordBits / bits) - 1) / (WordBits / bits);

    /// <summary>Words [rows, columns / 8] (4 bits): neighbours of a row share a word.</summary>
    public static CodeReader AlongRows(StoredTensor words, int columns, int bits) => (firstRow, rows, codes) =>
    {
        int perWord = WordBits / bits;
        for (int row = 0; row < rows; row++)
        {
            uint* source = (uint*)words.Pointer + ((firstRow + row) * words.Columns);
            Span<byte> destination = codes.Slice(row * columns, columns);
            for (; destination.Length >= perWord; destination = destination[perWord..]) Unpack(Unsafe.ReadUnaligned<uint>(source++), bits, destination);
            for (int i = 0; i < destination.Length; i++) destination[i] = Code(Unsafe.ReadUnaligned<uint>(source), i, bits);
        }
    };

    /// <summary>Words [columns / 8, rows] (4 bits), the transposed weight: neighbours of a row share a word.</summary>
    public static CodeReader DownColumns(StoredTensor words, int columns, int bits) => (firstRow, rows, codes) =>
    {
        int perWord = WordBits / bits;
        for (int column = 0; column < columns; column += perWord)
        {
            uint* source = (uint*)words.Pointer + (column / perWord * words.Columns) + firstRow;
            for (int row = 0; row < rows; row++) Unpack(Unsafe.ReadUnaligned<uint>(source + row), bits, codes.Slice((row * columns) + column, perWord));
        }
    };

    /// <summary>Words [columns, rows / 8] of 4-bit codes, the transposed weight: eight rows share a word, in the order given.</summary>
    public static CodeReader AcrossRows(StoredTensor words, int columns, ReadOnlyMemory<int> places) => (firstRow, rows, codes) =>
    {
        ReadOnlySpan<int> place = places.Span;
        for (int column = 0; column < columns; column++)
        {
            uint* source = (uint*)words.Pointer + (column * words.Columns);
            for (int row = 0; row < rows; row++)
            {
                uint word = Unsafe.ReadUnaligned<uint>(source + ((firstRow + row) / place.Length));
                codes[(row * columns) + column] = Code(word, place[(firstRow + row) % place.Length], bits: 4);
            }
        }
    };

    /// <summary>One code of a matrix of words.</summary>
    /// <param name="words">The words.</param>
    /// <param name="index">The word.</param>
    /// <param name="place">The place of the code in it.</param>
    /// <param name="bits">Bits of a code.</param>
    public static byte At(StoredTensor words, long index, int place, int bits) => Code(Unsafe.ReadUnaligned<uint>((uint*)words.Pointer + index), place, bits);

    private static byte Code(uint word, int place, int bits) => (byte)((word >> (place * bits)) & ((1u << bits) - 1));

    private static void Unpack(uint word, int bits, Span<byte> codes)
    {
        if (bits == 8)
        {
            Unsafe.WriteUnaligned(ref codes[0], word);
            return;
        }
        ulong spread = word;
        spread = (spread | (spread << 16)) & 0x0000_FFFF_0000_FFFF;
        spread = (spread | (spread << 8)) & 0x00FF_00FF_00FF_00FF;
        spread = (spread | (spread << 4)) & 0x0F0F_0F0F_0F0F_0F0F;
        Unsafe.WriteUnaligned(ref codes[0], spread);
    }
}
