using System.Buffers;
using System.Collections.Frozen;
using System.Text;

namespace Decart.Inference.Tokenization;

/// <summary>The parts of a tokenizer, as a file describes them.</summary>
internal sealed record TokenizerParts
{
    public required Vocabulary Vocabulary { get; init; }
    public required ITokenModel Model { get; init; }
    public required PieceDecoder Decoder { get; init; }
    public IReadOnlyList<AddedToken> AddedTokens { get; init; } = [];
    public INormalizer? Normalizer { get; init; }
    public IPreTokenizer? PreTokenizer { get; init; }

    /// <summary>Tokens in front of a text.</summary>
    public IReadOnlyList<int> Prefix { get; init; } = [];

    /// <summary>Tokens after a text.</summary>
    public IReadOnlyList<int> Suffix { get; init; } = [];

    public int? BosTokenId { get; init; }
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>What was passed over while they were read: whole sentences, for the log.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>One more than the largest id.</summary>
    public int VocabularySize => Math.Max(Vocabulary.Size, AddedTokens.Select(token => token.Id + 1).DefaultIfEmpty().Max());

    /// <summary>The id of a token by its text, or null.</summary>
    public int? IdOf(string content) =>
        AddedTokens.FirstOrDefault(token => token.Content == content)?.Id ?? (Vocabulary.TryGetId(content, out int id) ? id : null);

    /// <summary>The bytes of an id; by default its piece's, decoded, and none for special tokens.</summary>
    public Action<int, IBufferWriter<byte>>? AppendBytes { get; init; }
}

/// <summary>A text's way to ids: added tokens, normaliser, pre-tokenizer, model; and back.</summary>
internal sealed class TextTokenizer : ITokenizer
{
    private readonly TokenizerParts _parts;
    private readonly TokenMatchers _allTokens;
    private readonly TokenMatchers _plainTokens;
    private readonly TokenBytes _bytes;

    public TextTokenizer(TokenizerParts parts)
    {
        // What reads the bytes may hold on to a whole file.
        _parts = parts with { AppendBytes = null };
        _allTokens = TokenMatchers.Of(parts.AddedTokens);
        _plainTokens = TokenMatchers.Of([.. parts.AddedTokens.Where(token => !token.IsControl && !parts.EosTokenIds.Contains(token.Id))]);
        VocabularySize = parts.VocabularySize;
        SpecialTokens = parts.AddedTokens.Where(token => token.Special).DistinctBy(token => token.Content).ToFrozenDictionary(token => token.Content, token => token.Id);
        _bytes = new TokenBytes(VocabularySize, parts.AppendBytes ?? AppendDecoded(parts));
    }

    public int VocabularySize { get; }

    public int? BosTokenId => _parts.BosTokenId;

    public IReadOnlyList<int> EosTokenIds => _parts.EosTokenIds;

    public IReadOnlyDictionary<string, int> SpecialTokens { get; }

    /// <summary>What was passed over while the tokenizer was read: whole sentences, for the log.</summary>
    public IReadOnlyList<string> Warnings => _parts.Warnings;

    public IReadOnlyList<int> Encode(string text, bool addSpecialTokens = true, bool parseSpecialTokens = true, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(text);
        EncodingBudget budget = EncodingBudget.For(text, cancellationToken);
        budget.ThrowIfCancelled();
        List<int> ids = new(_parts.Prefix.Count + (text.Length / 3) + 2);
        if (addSpecialTokens) ids.AddRange(_parts.Prefix);
        EncodeText(CodePoints.WellFormed(text), parseSpecialTokens ? _allTokens : _plainTokens, ids, budget);
        if (addSpecialTokens) ids.AddRange(_parts.Suffix);
        return ids;
    }

    public string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArrayBufferWriter<byte> writer = new();
        bool isFirst = true;
        foreach (int id in ids)
        {
            ReadOnlySpan<byte> bytes = GetTokenBytes(id).Span;
            if (bytes.IsEmpty) continue;
            if (isFirst && _parts.Decoder.DroppedFromFirst is { } dropped) WriteFirst(id, dropped, writer);
            else writer.Write(bytes);
            isFirst = false;
        }
        ReadOnlySpan<byte> text = writer.WrittenSpan;
        for (int i = 0; i < _parts.Decoder.LeadingSpaces && text is [(byte)' ', ..]; i++) text = text[1..];
        for (int i = 0; i < _parts.Decoder.TrailingSpaces && text is [.., (byte)' ']; i++) text = text[..^1];
        return Encoding.UTF8.GetString(text);
    }

    public ReadOnlyMemory<byte> GetTokenBytes(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(id, VocabularySize);
        return _bytes[id];
    }

    private void EncodeText(string text, TokenMatchers tokens, List<int> ids, EncodingBudget budget)
    {
        PreTokenizedText pieces = new(budget);
        List<Segment> segments = [], normalizedSegments = [];
        tokens.Raw.Split(text, segments);
        foreach (Segment segment in segments)
        {
            if (!segment.IsText)
            {
                ids.Add(segment.Id);
                continue;
            }
            ReadOnlyMemory<char> part = text.AsMemory(segment.Piece.Start, segment.Piece.Length);
            if (_parts.Normalizer is { } normalizer) part = normalizer.Normalize(part.ToString(), budget).AsMemory();
            normalizedSegments.Clear();
            tokens.Normalized.Split(part.Span, normalizedSegments);
            foreach (Segment normalized in normalizedSegments)
            {
                if (!normalized.IsText)
                {
                    ids.Add(normalized.Id);
                    continue;
                }
                pieces.Reset(part.Slice(normalized.Piece.Start, normalized.Piece.Length), beginsInput: segment.Piece.Start == 0 && normalized.Piece.Start == 0);
                _parts.PreTokenizer?.Apply(pieces);
                EncodePieces(pieces, ids);
            }
        }
    }

    private void EncodePieces(PreTokenizedText pieces, List<int> ids)
    {
        ReadOnlySpan<char> text = pieces.Text;
        foreach (Piece piece in pieces.Pieces)
        {
            pieces.Budget.ThrowIfCancelled();
            _parts.Model.Encode(text.Slice(piece.Start, piece.Length), ids, pieces.Budget);
        }
    }

    private void WriteFirst(int id, char dropped, IBufferWriter<byte> writer)
    {
        if (_parts.Vocabulary.PieceOrNull(id) is { } piece && piece.Contains(dropped))
            Encoding.UTF8.GetBytes(piece.Replace(dropped.ToString(), "", StringComparison.Ordinal), writer);
        else
            writer.Write(_bytes[id].Span);
    }

    private static Action<int, IBufferWriter<byte>> AppendDecoded(TokenizerParts parts)
    {
        Dictionary<int, AddedToken> added = [];
        foreach (AddedToken token in parts.AddedTokens) added[token.Id] = token;
        return (id, writer) =>
        {
            string? piece = added.TryGetValue(id, out AddedToken? token) ? token.Content : parts.Vocabulary.PieceOrNull(id);
            if (piece is not null && token is not { Special: true }) parts.Decoder.Append(piece, writer);
        };
    }

    /// <summary>Finds added tokens: those in the text as it is, and those in the normalised text.</summary>
    private readonly record struct TokenMatchers(AddedTokenMatcher Raw, AddedTokenMatcher Normalized)
    {
        public static TokenMatchers Of(IReadOnlyList<AddedToken> tokens) =>
            new(new AddedTokenMatcher(tokens.Where(token => !token.Normalized)), new AddedTokenMatcher(tokens.Where(token => token.Normalized)));
    }
}
