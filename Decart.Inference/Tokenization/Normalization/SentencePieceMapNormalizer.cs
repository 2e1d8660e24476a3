using System.Buffers;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>Replaces characters as SentencePiece does: from left to right the longest sequence that the map has; some texts stay as they are.</summary>
internal sealed class SentencePieceMapNormalizer(CharacterMap map, IEnumerable<AddedToken> kept) : INormalizer
{
    private readonly AddedTokenMatcher _kept = new(kept);

    public string Normalize(string text, EncodingBudget budget)
    {
        List<Segment> segments = [];
        _kept.Split(text, segments);
        ArrayBufferWriter<byte> writer = new(text.Length + 16);
        foreach (Segment segment in segments)
        {
            ReadOnlySpan<byte> bytes = Encoding.UTF8.GetBytes(text, segment.Piece.Start, segment.Piece.Length);
            if (segment.IsText) Write(bytes, writer);
            else writer.Write(bytes);
        }
        return Encoding.UTF8.GetString(writer.WrittenSpan);
    }

    private void Write(ReadOnlySpan<byte> bytes, ArrayBufferWriter<byte> writer)
    {
        while (!bytes.IsEmpty)
        {
            ReadOnlySpan<byte> replacement = map.ReplaceLongest(bytes, out int length);
            if (length == 0)
            {
                Rune.DecodeFromUtf8(bytes, out _, out length);
                replacement = bytes[..length];
            }
            writer.Write(replacement);
            bytes = bytes[length..];
        }
    }
}
