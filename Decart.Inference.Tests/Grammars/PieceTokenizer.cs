using System.Text;

namespace Decart.Inference.Tests.Grammars;

/// <summary>A vocabulary of given pieces, in this order, as bytes; then a token that ends texts. It only decodes.</summary>
internal sealed class PieceTokenizer(params byte[][] pieces) : ITokenizer
{
    public PieceTokenizer(IEnumerable<string> pieces)
        : this([.. pieces.Select(Encoding.UTF8.GetBytes)])
    {
    }

    public int Eos => pieces.Length;

    public int VocabularySize => pieces.Length + 1;

    public int? BosTokenId => null;

    public IReadOnlyList<int> EosTokenIds => [Eos];

    public IReadOnlyDictionary<string, int> SpecialTokens => new Dictionary<string, int> { ["<eos>"] = Eos };

    /// <summary>All single bytes, and longer pieces as vocabularies have them: words, punctuation that runs together, parts of characters.</summary>
    public static PieceTokenizer Typical(params IEnumerable<string> more)
    {
        List<byte[]> pieces = [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })];
        string[] texts =
        [
            "\":", "\",", "\":\"", "\",\"", "{\"", "\"}", "}}", "[\"", "\"]", "},{", "]}", "null", "true", "false", ": ", ", ", "\n  ", "  ", "    ", "the", " name", "value", "12", "2024", "-0",
            "0.5", "e1", "é", "日本", "\\n", "\\u00", "\\\"", "\"a", "a\"", "ab", "\": {\"", "\", \"",
        ];
        pieces.AddRange(texts.Concat(more).Select(Encoding.UTF8.GetBytes));
        pieces.Add([0xC3]);
        pieces.Add([(byte)'a', 0xE6, 0x97]);
        pieces.Add([0xA5, (byte)'"']);
        return new PieceTokenizer([.. pieces]);
    }

    public IReadOnlyList<int> Encode(string text, bool addSpecialTokens = true, bool parseSpecialTokens = true, CancellationToken cancellationToken = default) =>
        [.. Encoding.UTF8.GetBytes(text).Select(value => Array.FindIndex(pieces, piece => piece.AsSpan().SequenceEqual([value])))];

    public string Decode(IEnumerable<int> ids) => Encoding.UTF8.GetString([.. ids.SelectMany(id => GetTokenBytes(id).ToArray())]);

    public ReadOnlyMemory<byte> GetTokenBytes(int id) => id < pieces.Length ? pieces[id] : ReadOnlyMemory<byte>.Empty;
}
