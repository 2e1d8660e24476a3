using System.Buffers.Binary;
using System.Text;
using Decart.Inference.Grammars.Automata;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Grammars;

/// <summary>
/// The tokens that texts of grammars are made of, and those that end them. Special tokens have no text; a grammar that names them sees them as four
/// bytes that no text has. Immutable.
/// </summary>
internal sealed class GrammarVocabulary
{
    /// <summary>Never a byte of UTF-8; three bytes of the token's id follow.</summary>
    private const byte SpecialMark = 0xFF;

    private readonly AddedTokenMatcher _special;

    /// <param name="tokenizer">Whose tokens they are.</param>
    /// <param name="modelVocabularySize">Columns of the model's logits.</param>
    /// <param name="endTokens">The tokens that end the model's texts.</param>
    public GrammarVocabulary(ITokenizer tokenizer, int modelVocabularySize, IReadOnlySet<int> endTokens)
    {
        Bytes = new ReadOnlyMemory<byte>[Math.Min(tokenizer.VocabularySize, modelVocabularySize)];
        HashSet<int> control = [.. (tokenizer as TextTokenizer)?.ControlTokens ?? []];
        var special = tokenizer.SpecialTokens.Where(token => token.Value < Bytes.Length && !endTokens.Contains(token.Value)).ToArray();
        for (int id = 0; id < Bytes.Length; id++)
        {
            if (!control.Contains(id) && !endTokens.Contains(id)) Bytes[id] = tokenizer.GetTokenBytes(id);
        }
        foreach ((_, int id) in special) Bytes[id] = SpecialBytes(id);
        _special = new AddedTokenMatcher(special.Select(token => new AddedToken(token.Value, token.Key, Special: true)));
        EndTokens = [.. endTokens.Where(id => id < modelVocabularySize).Order()];
        Trie = new TokenTrie(modelVocabularySize, Bytes);
    }

    /// <summary>The bytes of each token; empty for those that no text has.</summary>
    public ReadOnlyMemory<byte>[] Bytes { get; }

    public IReadOnlyList<int> EndTokens { get; }

    public TokenTrie Trie { get; }

    /// <summary>A text as bytes, with special tokens in the places of their names.</summary>
    public byte[] Encode(string text)
    {
        List<Segment> segments = [];
        _special.Split(text, segments);
        List<byte> bytes = [];
        foreach (Segment segment in segments)
            bytes.AddRange(segment.IsText ? Encoding.UTF8.GetBytes(text.Substring(segment.Piece.Start, segment.Piece.Length)) : SpecialBytes(segment.Id));
        return [.. bytes];
    }

    private static byte[] SpecialBytes(int id)
    {
        byte[] bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, id);
        bytes[0] = SpecialMark;
        return bytes;
    }
}
