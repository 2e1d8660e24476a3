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
    private readonly FrozenSet<int> _controlIds;

    public TextTokenizer(TokenizerParts parts)
    {
        // What reads the bytes may hold on to a whole file.
        _parts = parts with { AppendBytes = null };
        HashSet<int> ends = [.. parts.EosTokenIds];
        Predicate<AddedToken> isControl = token => token.IsControl || ends.Contains(token.Id);
        _controlIds = [.. parts.AddedTokens.Where(token => isControl(token)).Select(token => token.Id)];
        _allTokens = TokenMatchers.Of(parts.AddedTokens, isControl);
        _plainTokens = TokenMatchers.Of([.. parts.AddedTokens.Where(token => !isControl(token))], isControl);
        VocabularySize = parts.VocabularySize;
        SpecialTokens = parts.AddedTokens.Where(token => token.Special).DistinctBy(token => token.Content).ToFrozenDictionary(token => token.Content, token => token.Id);
        _bytes = new TokenBytes(VocabularySize, parts.AppendBytes ?? AppendDecoded(parts));
    }

    public int VocabularySize { get; }

    public int? BosTokenId => _parts.BosTokenId;

    public IReadOnlyList<int> EosTokenIds => _parts.EosTokenIds;

    public IReadOnlyDictionary<string, int> SpecialTokens { get; }

    /// <summary>The added tokens that are read as plain text where users' text must not act.</summary>
    public IEnumerable<int> ControlTokens => _parts.AddedTokens.Where(token => token.IsControl).Select(token => token.Id);

    /// <summary>What was passed over while the tokenizer was read: whole sentences, for the log.</summary>
    public IReadOnlyList<string> Warnings => _parts.Warnings;

    /// <summary>The id of a token by its text, or null.</summary>
    public int? IdOf(string piece) => _parts.IdOf(piece);

    public IReadOnlyList<int> Encode(string text, bool addSpecialTokens = true, bool parseSpecialTokens = true, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<int> ids = new(_parts.Prefix.Count + (text.Length / 3) + 2);
        if (addSpecialTokens) ids.AddRange(_parts.Prefix);
        EncodeText(text, parseSpecialTokens ? default : TextRanges.Whole(text.Length), ids, cancellationToken);
        if (addSpecialTokens) ids.AddRange(_parts.Suffix);
        return ids;
    }

    /// <summary>Encodes a text in parts of which special tokens written out are plain text; no special tokens are added around it.</summary>
    public List<int> Encode(string text, TextRanges plain, CancellationToken cancellationToken)
    {
        List<int> ids = new((text.Length / 3) + 2);
        EncodeText(text, plain, ids, cancellationToken);
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

    private void EncodeText(string text, TextRanges plain, List<int> ids, CancellationToken cancellationToken)
    {
        EncodingBudget budget = EncodingBudget.For(text, cancellationToken);
        budget.ThrowIfCancelled();
        text = CodePoints.WellFormed(text);
        PreTokenizedText pieces = new(budget);
        List<Segment> segments = [];
        _allTokens.Raw.Split(text, segments, plain);
        foreach (Segment segment in segments)
        {
            if (!segment.IsText) ids.Add(segment.Id);
            else EncodeSegment(text.AsMemory(segment.Piece.Start, segment.Piece.Length), segment.Piece.Start, plain, ids, pieces);
        }
    }

    /// <summary>Encodes a text between two added tokens, in which others may be found once it is normalised.</summary>
    private void EncodeSegment(ReadOnlyMemory<char> text, int start, TextRanges plain, List<int> ids, PreTokenizedText pieces)
    {
        ReadOnlyMemory<char> normalized = _parts.Normalizer is { } normalizer ? normalizer.Normalize(text.ToString(), pieces.Budget).AsMemory() : text;
        List<Segment> segments = [];
        _allTokens.Normalized.Split(normalized.Span, segments);
        if (_allTokens.Normalized.HasControl && plain.Touches(start, start + text.Length))
        {
            // The normalised text does not say which of its characters are plain: it is used as it is only where it has the control tokens that are not plain in the text.
            List<Segment> allowed = [];
            _allTokens.Normalized.Split(text.Span, allowed, plain, start);
            if (!segments.Where(IsControl).Select(segment => segment.Id).SequenceEqual(allowed.Where(IsControl).Select(segment => segment.Id)))
            {
                EncodePlainSegments(text, start, allowed, ids, pieces);
                return;
            }
        }
        EncodeSegments(normalized, segments, beginsInput: start == 0, ids, pieces);
    }

    /// <summary>Encodes a text in which control tokens are plain but for those found already.</summary>
    private void EncodePlainSegments(ReadOnlyMemory<char> text, int start, List<Segment> found, List<int> ids, PreTokenizedText pieces)
    {
        int textStart = 0;
        foreach (Segment segment in found.Where(IsControl).Append(new Segment(new Piece(text.Length, 0), -1)))
        {
            ReadOnlyMemory<char> part = text[textStart..segment.Piece.Start];
            if (_parts.Normalizer is { } normalizer) part = normalizer.Normalize(part.ToString(), pieces.Budget).AsMemory();
            List<Segment> segments = [];
            _plainTokens.Normalized.Split(part.Span, segments);
            EncodeSegments(part, segments, beginsInput: start + textStart == 0, ids, pieces);
            if (!segment.IsText) ids.Add(segment.Id);
            textStart = segment.Piece.End;
        }
    }

    private void EncodeSegments(ReadOnlyMemory<char> text, List<Segment> segments, bool beginsInput, List<int> ids, PreTokenizedText pieces)
    {
        foreach (Segment segment in segments)
        {
            if (!segment.IsText)
            {
                ids.Add(segment.Id);
                continue;
            }
            pieces.Reset(text.Slice(segment.Piece.Start, segment.Piece.Length), beginsInput && segment.Piece.Start == 0);
            _parts.PreTokenizer?.Apply(pieces);
            EncodePieces(pieces, ids);
        }
    }

    private bool IsControl(Segment segment) => !segment.IsText && _controlIds.Contains(segment.Id);

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
        public static TokenMatchers Of(IReadOnlyList<AddedToken> tokens, Predicate<AddedToken> isControl) =>
            new(new AddedTokenMatcher(tokens.Where(token => !token.Normalized), isControl), new AddedTokenMatcher(tokens.Where(token => token.Normalized), isControl));
    }
}
