using System.Buffers;
using System.Text;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Reads the tokenizer in the metadata of a GGUF file (keys <c>tokenizer.ggml.*</c>): "llama", SentencePiece's BPE by scores, or
/// "gpt2", byte-level BPE by merges. Encodes as llama.cpp does when it parses special tokens.
/// </summary>
internal sealed class GgufTokenizer
{
    private const char Marker = '\u2581';
    private const string ModelKey = "tokenizer.ggml.model", PreKey = "tokenizer.ggml.pre", TokensKey = "tokenizer.ggml.tokens";
    private const string KindsKey = "tokenizer.ggml.token_type", ScoresKey = "tokenizer.ggml.scores", MergesKey = "tokenizer.ggml.merges";
    private const string TemplateKey = "tokenizer.chat_template";

    private readonly GgufFile _file;
    private readonly GgufStrings _tokens;
    private readonly PieceKind[] _kinds;
    private readonly Vocabulary _vocabulary;
    private readonly List<string> _warnings = [];

    private GgufTokenizer(GgufFile file)
    {
        _file = file;
        _tokens = file.Require(TokensKey).AsStrings();
        if (_tokens.Count == 0) throw Wrong(TokensKey, "tokens", "none");
        _kinds = ReadKinds();
        _vocabulary = ReadVocabulary();
    }

    public static TokenizerParts Read(GgufFile file)
    {
        string model = file.Require(ModelKey).AsString();
        return model switch
        {
            "llama" => new GgufTokenizer(file).ReadScored(),
            "gpt2" => new GgufTokenizer(file).ReadByteLevel(),
            _ => throw new ModelLoadException(file.Path, ModelKey, $"expected \"llama\" or \"gpt2\", found \"{model}\""),
        };
    }

    private TokenizerParts ReadScored()
    {
        bool addSpace = FlagOr("tokenizer.ggml.add_space_prefix", true);
        Dictionary<string, int> texts = TextTokens();
        float[] scores = _file.Require(ScoresKey).AsSingleArray();
        if (scores.Length < _tokens.Count) throw Wrong(ScoresKey, $"{_tokens.Count} scores", $"{scores.Length}");
        if (texts.Keys.FirstOrDefault(piece => piece.Length > ScoredMerges.LongestPiece) is { } longest)
            throw Wrong($"{TokensKey}[{texts[longest]}]", $"at most {ScoredMerges.LongestPiece} characters", $"{longest.Length}");
        int? unknown = TokenId("tokenizer.ggml.unknown_token_id", missing: 0);
        INormalizer escape = new LiteralReplaceNormalizer(" ", Marker.ToString());
        UnknownSymbols symbols = new(ByteTokens(), unknown, Fuse: true);
        BpeModel model = new(new Vocabulary(texts, _tokens.Count), ScoredMerges.Create(texts, scores), symbols, ignoreMerges: false);
        return Create(model, defaultBos: 1, defaultEos: 2, addBos: true) with
        {
            Normalizer = addSpace ? new SequenceNormalizer([new PrependNormalizer(" "), escape]) : escape,
            Decoder = new PieceDecoder { LeadingSpaces = addSpace ? 1 : 0 },
            AppendBytes = AppendScored,
        };
    }

    private TokenizerParts ReadByteLevel()
    {
        string pre = _file.Metadata.TryGetValue(PreKey, out GgufValue? value) ? value.AsString() : "default";
        if (!GgufSplitRule.All.TryGetValue(pre, out GgufSplitRule? rule))
            throw Wrong(PreKey, $"a pre-tokenizer that is known ({string.Join(", ", GgufSplitRule.All.Keys)})", $"\"{pre}\"");
        // A byte that no token has is left out: the unknown token that files name is often the one that ends a text.
        UnknownSymbols symbols = new(null, null, Fuse: false);
        BpeModel model = new(new Vocabulary(TextTokens(), _tokens.Count), ReadMerges(), symbols, rule.IgnoreMerges);
        return Create(model, defaultBos: 11, defaultEos: 11, rule.AddBos) with
        {
            PreTokenizer = rule.CreatePreTokenizer(),
            AppendBytes = AppendByteLevel,
        };
    }

    /// <summary>What both kinds have in common: added tokens and the tokens around a text.</summary>
    private TokenizerParts Create(BpeModel model, int defaultBos, int defaultEos, bool addBos)
    {
        int? bos = TokenId("tokenizer.ggml.bos_token_id", defaultBos), eos = TokenId("tokenizer.ggml.eos_token_id", defaultEos);
        bool addEos = FlagOr("tokenizer.ggml.add_eos_token", false);
        List<int> ends = [];
        foreach (int? id in (ReadOnlySpan<int?>)[eos, TokenId("tokenizer.ggml.eot_token_id", null), TokenId("tokenizer.ggml.eom_token_id", null)])
        {
            if (id is { } end) ends.Add(end);
        }
        List<AddedToken> added = ReadAddedTokens();
        ends.AddRange(EndOfTurn.Find(added, _file.Metadata.TryGetValue(TemplateKey, out GgufValue? template) ? template.AsString() : null));
        return new TokenizerParts
        {
            Vocabulary = _vocabulary,
            Model = model,
            Decoder = new PieceDecoder(),
            AddedTokens = added,
            BosTokenId = bos,
            EosTokenIds = [.. ends.Distinct()],
            Prefix = FlagOr("tokenizer.ggml.add_bos_token", addBos) && bos is { } first ? [first] : [],
            Suffix = addEos && eos is { } last ? [last] : [],
            Warnings = _warnings,
        };
    }

    private PieceKind[] ReadKinds()
    {
        PieceKind[] kinds = new PieceKind[_tokens.Count];
        kinds.AsSpan().Fill(PieceKind.Normal);
        if (!_file.Metadata.TryGetValue(KindsKey, out GgufValue? value)) return kinds;
        int[] numbers = value.AsInt32Array();
        if (numbers.Length < kinds.Length) throw Wrong(KindsKey, $"{kinds.Length} types", $"{numbers.Length}");
        for (int id = 0; id < kinds.Length; id++) kinds[id] = (PieceKind)numbers[id];
        return kinds;
    }

    /// <summary>The tokens that are text; the others have bytes but are never found.</summary>
    private Vocabulary ReadVocabulary()
    {
        Dictionary<string, int> ids = [];
        for (int id = 0; id < _tokens.Count; id++)
        {
            if (!System.Text.Unicode.Utf8.IsValid(_tokens.GetBytes(id)) || _tokens.GetBytes(id).IsEmpty) continue;
            if (!ids.TryAdd(_tokens[id], id)) throw Wrong($"{TokensKey}[{id}]", "each token once", $"\"{_tokens[id]}\", which is token {ids[_tokens[id]]}");
        }
        return new Vocabulary(ids, _tokens.Count);
    }

    private Dictionary<string, int> TextTokens()
    {
        Dictionary<string, int> texts = [];
        foreach ((string token, int id) in _vocabulary.Ids)
        {
            if (_kinds[id] is not (PieceKind.Control or PieceKind.Unknown or PieceKind.Byte)) texts.Add(token, id);
        }
        return texts;
    }

    /// <summary>The tokens that are found in a text whatever surrounds them. Phi-3's swallow the white space after them.</summary>
    private List<AddedToken> ReadAddedTokens()
    {
        string name = _file.Metadata.TryGetValue("general.name", out GgufValue? value) && value.Kind == GgufValueKind.String ? value.AsString() : "";
        bool stripRight = name.Contains("phi-3", StringComparison.OrdinalIgnoreCase) || name.Contains("phi3", StringComparison.OrdinalIgnoreCase);
        List<AddedToken> tokens = [];
        foreach ((string token, int id) in _vocabulary.Ids)
        {
            if (_kinds[id] is not (PieceKind.Control or PieceKind.Unknown or PieceKind.UserDefined)) continue;
            bool strips = stripRight && token is not ("<unk>" or "<s>" or "<|endoftext|>");
            tokens.Add(new AddedToken(id, token, _kinds[id] != PieceKind.UserDefined, StripRight: strips));
        }
        return tokens;
    }

    private int[]? ByteTokens()
    {
        int[]? ids = _vocabulary.ByteIds();
        return ids is not null && Array.TrueForAll(ids, id => _kinds[id] == PieceKind.Byte) ? ids : null;
    }

    private MergeTable ReadMerges()
    {
        GgufStrings lines = _file.Require(MergesKey).AsStrings();
        MergeTable merges = new(lines.Count);
        for (int rank = 0; rank < lines.Count; rank++)
        {
            string line = lines[rank];
            // Tokens hold no spaces in this alphabet, but one may be a space itself.
            int space = line.Length > 1 ? line.IndexOf(' ', 1) : -1;
            if (space < 0) throw Wrong($"{MergesKey}[{rank}]", "two tokens with a space between them", $"\"{line}\"");
            ReadOnlySpan<char> left = line.AsSpan(0, space), right = line.AsSpan(space + 1);
            if (!_vocabulary.TryGetId(left, out int leftId) || !_vocabulary.TryGetId(right, out int rightId)
                || !_vocabulary.TryGetId(left, right, out int merged))
            {
                throw Wrong($"{MergesKey}[{rank}]", "two tokens of the vocabulary that make a third", $"\"{line}\"");
            }
            if (_kinds[merged] != PieceKind.Control && !merges.TryGet(MergeTable.Pair(leftId, rightId), out _)) merges.Set(leftId, rightId, new Merge(rank, merged));
        }
        return merges;
    }

    private void AppendScored(int id, IBufferWriter<byte> writer)
    {
        if (_kinds[id] == PieceKind.UserDefined) writer.Write(_tokens.GetBytes(id));
        else if (_kinds[id] == PieceKind.Byte && PieceDecoder.TryReadByte(_tokens[id], out byte value)) writer.Write([value]);
        else if (_kinds[id] == PieceKind.Normal) Encoding.UTF8.GetBytes(_tokens[id].Replace(Marker, ' '), writer);
    }

    private void AppendByteLevel(int id, IBufferWriter<byte> writer)
    {
        if (_kinds[id] is PieceKind.Control or PieceKind.Unknown) return;
        string token = _tokens[id];
        Span<byte> bytes = writer.GetSpan(token.Length + 1);
        if (_kinds[id] == PieceKind.Normal && ByteLevelAlphabet.TryDecode(token, bytes)) writer.Advance(token.Length);
        else writer.Write(_tokens.GetBytes(id));
    }

    private bool FlagOr(string key, bool missing) => _file.Metadata.TryGetValue(key, out GgufValue? value) ? value.AsBoolean() : missing;

    private int? TokenId(string key, int? missing)
    {
        if (!_file.Metadata.TryGetValue(key, out GgufValue? value)) return missing < _tokens.Count ? missing : null;
        long id = value.AsInt64();
        if (id >= 0 && id < _tokens.Count) return (int)id;
        _warnings.Add($"{_file.Path}: {key} is {id}, which is the id of no token. It is ignored."); // converters write -1, and 4294967295 for it
        return null;
    }

    private ModelLoadException Wrong(string field, string expected, string found) => new(_file.Path, field, $"expected {expected}, found {found}");
}
