using System.Text;

namespace Decart.Inference.Tests.Tokenization;

/// <summary>Composes files in SentencePiece's format.</summary>
internal sealed class SentencePieceBytes
{
    public const int Unigram = 1, Bpe = 2;
    public const int Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Byte = 6;

    private readonly List<byte> _file = [];

    /// <summary>A small model: three special pieces, the bytes, and what "▁hello" is merged from; "qx" is user-defined.</summary>
    public static byte[] Small(int model, bool addDummyPrefix = true, bool removeExtraWhitespaces = false, byte[]? map = null)
    {
        SentencePieceBytes bytes = new SentencePieceBytes().Piece("<unk>", 0, Unknown).Piece("<s>", 0, Control).Piece("</s>", 0, Control);
        for (int value = 0; value < 256; value++) bytes.Piece($"<0x{value:X2}>", 0, Byte);
        string[] pieces = ["ll", "he", "hell", "hello", "▁hello", "▁▁", "▁", "h", "e", "l", "o", "lo"];
        for (int i = 0; i < pieces.Length; i++) bytes.Piece(pieces[i], -1 - i, Normal);
        return bytes.Piece("qx", 0, UserDefined).Trainer(model).Normalizer(addDummyPrefix, removeExtraWhitespaces, map).ToArray();
    }

    public SentencePieceBytes Piece(string text, float score, int kind) =>
        Message(1, [.. Bytes(1, Encoding.UTF8.GetBytes(text)), 2 << 3 | 5, .. BitConverter.GetBytes(score), 3 << 3, (byte)kind]);

    /// <summary>With byte fallback (field 35).</summary>
    public SentencePieceBytes Trainer(int model) => Message(2, [3 << 3, (byte)model, .. Variable(35 << 3), 1]);

    public SentencePieceBytes Normalizer(bool addDummyPrefix, bool removeExtraWhitespaces, byte[]? map = null) =>
        Message(3, [.. Bytes(2, map ?? []), 3 << 3, (byte)(addDummyPrefix ? 1 : 0), 4 << 3, (byte)(removeExtraWhitespaces ? 1 : 0), 5 << 3, 1]);

    public SentencePieceBytes Message(int field, byte[] content)
    {
        _file.AddRange(Bytes(field, content));
        return this;
    }

    public byte[] ToArray() => [.. _file];

    private static byte[] Bytes(int field, byte[] content) => [.. Variable(field << 3 | 2), .. Variable(content.Length), .. content];

    private static byte[] Variable(int value) => value < 0x80 ? [(byte)value] : [(byte)(value | 0x80), .. Variable(value >> 7)];
}
