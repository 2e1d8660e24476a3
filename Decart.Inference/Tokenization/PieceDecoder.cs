using System.Buffers;
using System.Globalization;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>How pieces become text again.</summary>
internal sealed record PieceDecoder
{
    /// <summary>What is done to each piece, in this order.</summary>
    public IReadOnlyList<INormalizer> Steps { get; init; } = [];

    /// <summary>Whether pieces are written in the <see cref="ByteLevelAlphabet"/>.</summary>
    public bool ByteLevel { get; init; }

    /// <summary>Whether pieces such as &lt;0x0A&gt; are bytes.</summary>
    public bool ByteFallback { get; init; }

    /// <summary>The most spaces that are dropped in front of a text.</summary>
    public int LeadingSpaces { get; init; }

    /// <summary>The most spaces that are dropped at the end of a text.</summary>
    public int TrailingSpaces { get; init; }

    /// <summary>The character that is dropped from a text's first piece wherever it stands there, or null.</summary>
    public char? DroppedFromFirst { get; init; }

    /// <summary>Writes the bytes of a piece that is not the first of a text.</summary>
    public void Append(string piece, IBufferWriter<byte> writer)
    {
        if (ByteFallback && TryReadByte(piece, out byte value))
        {
            writer.Write([value]);
            return;
        }
        foreach (INormalizer step in Steps) piece = step.Normalize(piece, EncodingBudget.Unlimited);
        Span<byte> bytes = writer.GetSpan(piece.Length);
        if (ByteLevel && ByteLevelAlphabet.TryDecode(piece, bytes)) writer.Advance(piece.Length);
        else Encoding.UTF8.GetBytes(piece, writer);
    }

    /// <summary>Reads a piece such as &lt;0x0A&gt;.</summary>
    public static bool TryReadByte(ReadOnlySpan<char> piece, out byte value)
    {
        value = 0;
        return piece.Length == 6 && piece.StartsWith("<0x") && piece[5] == '>'
            && byte.TryParse(piece[3..5], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
