using System.Buffers;
using System.Globalization;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Replaces characters as the tokenizers library does with such a map ("Precompiled"): grapheme by grapheme if short, else character by character, and by the
/// shortest beginning that the map has, whatever follows it.
/// </summary>
internal sealed class PrecompiledNormalizer(CharacterMap map) : INormalizer
{
    private const int LongestGrapheme = 5; // in bytes

    public string Normalize(string text, EncodingBudget budget)
    {
        ArrayBufferWriter<byte> writer = new(text.Length + 16);
        for (int position = 0; position < text.Length;)
        {
            int length = StringInfo.GetNextTextElementLength(text, position);
            Write(text.AsSpan(position, length), writer);
            position += length;
        }
        return Encoding.UTF8.GetString(writer.WrittenSpan);
    }

    private void Write(ReadOnlySpan<char> grapheme, ArrayBufferWriter<byte> writer)
    {
        Span<byte> bytes = stackalloc byte[4];
        if (Encoding.UTF8.GetByteCount(grapheme) <= LongestGrapheme && TryReplace(grapheme, writer)) return;
        foreach (Rune rune in grapheme.EnumerateRunes())
        {
            ReadOnlySpan<byte> character = bytes[..rune.EncodeToUtf8(bytes)];
            ReadOnlySpan<byte> replacement = map.ReplaceShortest(character, out int replaced);
            writer.Write(replaced > 0 ? replacement : character);
        }
    }

    private bool TryReplace(ReadOnlySpan<char> grapheme, ArrayBufferWriter<byte> writer)
    {
        Span<byte> bytes = stackalloc byte[LongestGrapheme];
        ReadOnlySpan<byte> replacement = map.ReplaceShortest(bytes[..Encoding.UTF8.GetBytes(grapheme, bytes)], out int replaced);
        writer.Write(replacement);
        return replaced > 0;
    }
}
