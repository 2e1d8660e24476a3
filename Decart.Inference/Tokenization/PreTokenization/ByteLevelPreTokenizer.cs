using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>Divides text into words as GPT-2 did (optionally) and rewrites it as the characters that stand for its UTF-8 bytes.</summary>
internal sealed class ByteLevelPreTokenizer(bool addPrefixSpace, bool splitWords) : IPreTokenizer
{
    public void Apply(PreTokenizedText text)
    {
        if (addPrefixSpace) text.Rewrite(text.Text.Length + text.Pieces.Length, PrefixSpace);
        if (splitWords) text.Split(Gpt2Pattern.Instance, SplitBehavior.Isolated);
        text.Rewrite(Encoding.UTF8.GetByteCount(text.Text), ByteLevelAlphabet.Encode);
    }

    private static int PrefixSpace(ReadOnlySpan<char> piece, Span<char> destination)
    {
        int prefix = piece[0] == ' ' ? 0 : 1;
        if (prefix == 1) destination[0] = ' ';
        piece.CopyTo(destination[prefix..]);
        return piece.Length + prefix;
    }
}
