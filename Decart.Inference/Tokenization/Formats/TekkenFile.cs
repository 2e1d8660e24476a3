using System.Text.Json;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Reads tekken.json, the format of Mistral's tokenizers: byte-level BPE in which the vocabulary's order is the order of merging (as in tiktoken). The
/// special tokens have the first ids, and the vocabulary's tokens those after them.
/// </summary>
internal static class TekkenFile
{
    private const int Bytes = 256;

    /// <summary>The special tokens of files that do not list them; only files of versions up to <see cref="LastVersionWithoutList"/> may leave them out.</summary>
    private static readonly string[] UnlistedSpecialTokens =
    [
        "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]",
        "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
    ];

    private const int LastVersionWithoutList = 7;

    public static TokenizerParts Read(string file)
    {
        JsonField root = JsonField.Read(file);
        JsonField config = root.Required("config"), list = root.Required("vocab");
        int listed = list.RawItems().Count();
        int special = config.Required("default_num_special_tokens").Integer(Vocabulary.LargestPlausibleId(listed));
        int size = config.Required("default_vocab_size").Integer();
        if (size - special > listed) throw list.Wrong($"the {size - special} tokens that config.default_vocab_size leaves beside {special} special ones", $"{listed}");
        if (size - special < Bytes) throw config.Required("default_vocab_size").Wrong($"room for {special} special tokens and the {Bytes} bytes");

        string[] specialTokens = ReadSpecialTokens(root, config, special);
        Dictionary<string, int> pieces = ReadPieces(list, special, size - special);
        float[] scores = [.. Enumerable.Range(0, size).Select(id => -(float)id)];
        Vocabulary vocabulary = new(pieces, size);
        int? bos = IndexOf(specialTokens, "<s>"), eos = IndexOf(specialTokens, "</s>");
        return new TokenizerParts
        {
            Vocabulary = vocabulary,
            Model = new BpeModel(vocabulary, ScoredMerges.Create(pieces, scores), new UnknownSymbols(null, null, Fuse: false), ignoreMerges: true),
            AddedTokens = [.. specialTokens.Select((token, id) => new AddedToken(id, token, Special: true))],
            PreTokenizer = new SequencePreTokenizer(
            [
                new SplitPreTokenizer(PreTokenizerJson.ReadExpression(config.Required("pattern")), SplitBehavior.Isolated),
                new ByteLevelPreTokenizer(addPrefixSpace: false, splitWords: false),
            ]),
            Decoder = new PieceDecoder { ByteLevel = true },
            BosTokenId = bos,
            EosTokenIds = eos is { } end ? [end] : [],
            Prefix = bos is { } first ? [first] : [],
        };
    }

    /// <summary>The special tokens by id; those that the file only counts have names that say their ids.</summary>
    private static string[] ReadSpecialTokens(JsonField root, JsonField config, int count)
    {
        string[] tokens = [.. Enumerable.Range(0, count).Select(id => $"<SPECIAL_{id}>")];
        HashSet<string> seen = [];
        if (root.Optional("special_tokens") is { } list)
        {
            foreach (JsonField token in list.Items())
            {
                string text = token.Text("token_str");
                if (text.Length == 0 || !seen.Add(text)) throw token.Required("token_str").Wrong("each special token once");
                tokens[token.Required("rank").Integer(count - 1)] = text;
            }
            return tokens;
        }
        JsonField version = config.Required("version");
        if (!(version.Text() is ['v', .. var number] && int.TryParse(number, out int parsed) && parsed <= LastVersionWithoutList))
            throw root.Wrong($"a list \"special_tokens\", which files of a version above v{LastVersionWithoutList} have", "none");
        UnlistedSpecialTokens.AsSpan(0, Math.Min(count, UnlistedSpecialTokens.Length)).CopyTo(tokens);
        return tokens;
    }

    /// <summary>The first tokens of the list, written in the <see cref="ByteLevelAlphabet"/>, with their ids. The single bytes come first.</summary>
    private static Dictionary<string, int> ReadPieces(JsonField list, int firstId, int count)
    {
        Dictionary<string, int> pieces = new(count);
        int rank = 0;
        foreach (JsonElement element in list.RawItems())
        {
            if (rank == count) break;
            JsonField token = list.Item(rank, element);
            if (token.Required("rank").Integer() != rank) throw token.Required("rank").Wrong($"{rank}, its place in the list");
            JsonField field = token.Required("token_bytes");
            string text = field.Text();
            byte[] buffer = new byte[text.Length];
            if (!Convert.TryFromBase64String(text, buffer, out int length) || length is 0 or > ScoredMerges.LongestPiece)
                throw field.Wrong($"1 to {ScoredMerges.LongestPiece} bytes in base 64");
            if (rank < Bytes && (length != 1 || buffer[0] != rank)) throw field.Wrong($"the byte {rank}");
            if (!pieces.TryAdd(ByteLevelAlphabet.Encode(buffer.AsSpan(0, length)), firstId + rank)) throw field.Wrong("each token once");
            rank++;
        }
        return pieces;
    }

    private static int? IndexOf(string[] tokens, string token) => Array.IndexOf(tokens, token) is >= 0 and int id ? id : null;
}
