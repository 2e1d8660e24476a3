using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>
/// The alphabet of byte-level BPE (GPT-2): printable Latin-1 bytes stand for themselves, the other 68 bytes, in order,
/// are the characters from U+0100 on.
/// </summary>
internal static class ByteLevelAlphabet
{
    private static readonly char[] Characters = BuildCharacters();
    private static readonly short[] Bytes = BuildBytes();

    /// <summary>Writes the characters for the UTF-8 bytes of a text and returns their number.</summary>
    public static int Encode(ReadOnlySpan<char> text, Span<char> destination)
    {
        char[] characters = Characters;
        Span<byte> utf8 = stackalloc byte[4];
        int written = 0;
        for (int position = 0; position < text.Length;)
        {
            char character = text[position];
            if (character < 0x80)
            {
                destination[written++] = characters[character];
                position++;
                continue;
            }
            Rune.DecodeFromUtf16(text[position..], out Rune rune, out int consumed);
            position += consumed;
            foreach (byte value in utf8[..rune.EncodeToUtf8(utf8)]) destination[written++] = characters[value];
        }
        return written;
    }

    /// <summary>The characters for bytes, which need not be text.</summary>
    public static string Encode(ReadOnlySpan<byte> bytes) => string.Create(bytes.Length, bytes, static (destination, bytes) =>
    {
        for (int i = 0; i < bytes.Length; i++) destination[i] = Characters[bytes[i]];
    });

    /// <summary>The bytes that a piece stands for; false when a character is not of the alphabet.</summary>
    /// <param name="piece">Characters of the alphabet.</param>
    /// <param name="destination">Room for as many bytes as the piece has characters.</param>
    public static bool TryDecode(ReadOnlySpan<char> piece, Span<byte> destination)
    {
        for (int i = 0; i < piece.Length; i++)
        {
            short value = piece[i] < Bytes.Length ? Bytes[piece[i]] : (short)-1;
            if (value < 0) return false;
            destination[i] = (byte)value;
        }
        return true;
    }

    private static char[] BuildCharacters()
    {
        char[] characters = new char[256];
        char next = '\u0100';
        for (int value = 0; value < characters.Length; value++)
        {
            characters[value] = value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE ? (char)value : next++;
        }
        return characters;
    }

    private static short[] BuildBytes()
    {
        short[] bytes = new short[0x144];
        bytes.AsSpan().Fill(-1);
        for (int value = 0; value < Characters.Length; value++) bytes[Characters[value]] = (short)value;
        return bytes;
    }
}
