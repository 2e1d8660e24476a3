using System.Text;

namespace Decart.Inference.Tests.Session;

/// <summary>Each byte of UTF-8 is a token; special tokens follow, two unless there are others.</summary>
internal sealed class ByteTokenizer : ITokenizer
{
    public const int Bos = 256;
    public const int Eos = 257;

    public int VocabularySize => SpecialTokens.Values.Max() + 1;

    public int? BosTokenId => Bos;

    public IReadOnlyList<int> EosTokenIds => [Eos];

    public IReadOnlyDictionary<string, int> SpecialTokens { get; init; } = new Dictionary<string, int> { ["<bos>"] = Bos, ["<eos>"] = Eos };

    public static int[] Bytes(string text) => [.. Encoding.UTF8.GetBytes(text).Select(value => (int)value)];

    public IReadOnlyList<int> Encode(string text, bool addSpecialTokens = true, bool parseSpecialTokens = true, CancellationToken cancellationToken = default) =>
        addSpecialTokens ? [Bos, .. Bytes(text)] : Bytes(text);

    public string Decode(IEnumerable<int> ids) => Encoding.UTF8.GetString([.. ids.Where(id => id < 256).Select(id => (byte)id)]);

    public ReadOnlyMemory<byte> GetTokenBytes(int id) => id < 256 ? new byte[] { (byte)id } : ReadOnlyMemory<byte>.Empty;
}
