using System.Buffers;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Decodes ids one by one into text that never ends in half a character: the bytes of a character that is not complete wait
/// for the tokens that complete it. All pieces of text together are the UTF-8 decoding of all tokens' bytes. For one thread.
/// </summary>
internal sealed class IncrementalDecoder(ITokenizer tokenizer)
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

    /// <summary>Adds a token and returns the text that is complete with it, which may be empty.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not one of the tokenizer's.</exception>
    public string Append(int id) => Decode(tokenizer.GetTokenBytes(id).Span, flush: false);

    /// <summary>Ends the text: U+FFFD for a character that never was completed, otherwise nothing. Another text may follow.</summary>
    public string Flush() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        const int SmallToken = 64;
        // A byte yields at most one UTF-16 unit; the bytes that wait, at most two.
        int capacity = bytes.Length + 2;
        char[]? rented = capacity > SmallToken ? ArrayPool<char>.Shared.Rent(capacity) : null;
        Span<char> characters = rented ?? stackalloc char[SmallToken];
        string text = new(characters[.._decoder.GetChars(bytes, characters, flush)]);
        if (rented is not null) ArrayPool<char>.Shared.Return(rented);
        return text;
    }
}
