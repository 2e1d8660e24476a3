using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tokenization;

/// <summary>Reads tokenizer.model: SentencePiece's ModelProto with a BPE or a unigram model.</summary>
internal static class SentencePieceFile
{
    private const char Marker = '\u2581';
    private const int MostBytes = 256 << 20;

    public static TokenizerParts Read(string file, TokenizerSettings settings)
    {
        SentencePieceProto proto = SentencePieceProto.Read(file, CheckpointFile.ReadAllBytes(file, MostBytes));
        Vocabulary vocabulary = ReadVocabulary(file, proto.Pieces);
        List<AddedToken> added = ReadAddedTokens(proto.Pieces, vocabulary, settings);
        Dictionary<string, int> texts = TextPieces(proto.Pieces, [.. added.Where(token => token.Special).Select(token => token.Id)]);
        int? unknown = IndexOf(proto, PieceKind.Unknown, proto.UnknownId);
        UnknownSymbols symbols = new(proto.ByteFallback ? vocabulary.ByteIds() : null, unknown, Fuse: true);
        float[] scores = [.. proto.Pieces.Select(piece => piece.Score)];
        int? bos = IndexOf(proto, PieceKind.Control, proto.BosId), eos = IndexOf(proto, PieceKind.Control, proto.EosId);
        return new TokenizerParts
        {
            Vocabulary = vocabulary,
            Model = proto.Model switch
            {
                SentencePieceModel.Unigram => new UnigramModel(texts, Array.ConvertAll(scores, score => (double)score), symbols),
                SentencePieceModel.Bpe =>
                    new BpeModel(new Vocabulary(texts, vocabulary.Size), ScoredMerges.Create(texts, scores), symbols, ignoreMerges: false),
                _ => throw new ModelLoadException(file, "trainer_spec.model_type", $"expected 1 (unigram) or 2 (BPE), found {(int)proto.Model}"),
            },
            AddedTokens = added,
            Normalizer = ReadNormalizer(file, proto),
            Decoder = new PieceDecoder
            {
                Steps = [new LiteralReplaceNormalizer(Marker.ToString(), " ")],
                ByteFallback = true,
                LeadingSpaces = proto.AddDummyPrefix && !proto.WhitespaceIsSuffix ? 1 : 0,
                TrailingSpaces = proto.AddDummyPrefix && proto.WhitespaceIsSuffix ? 1 : 0,
            },
            BosTokenId = bos,
            EosTokenIds = eos is { } id ? [id] : [],
            // Models of this format expect BOS unless the settings deny it.
            Prefix = bos is { } first && settings.AddBos != false ? [first] : [],
        };
    }

    private static Vocabulary ReadVocabulary(string file, IReadOnlyList<SentencePiece> pieces)
    {
        if (pieces.Count == 0) throw new ModelLoadException(file, "pieces", "expected pieces, found none");
        Dictionary<string, int> ids = [];
        for (int id = 0; id < pieces.Count; id++)
        {
            string piece = pieces[id].Text;
            if (piece.Length is 0 or > ScoredMerges.LongestPiece)
                throw new ModelLoadException(file, $"pieces[{id}]", $"expected 1 to {ScoredMerges.LongestPiece} characters, found {piece.Length}");
            if (!ids.TryAdd(piece, id))
                throw new ModelLoadException(file, $"pieces[{id}]", $"expected each piece once, found \"{piece}\", which is piece {ids[piece]}");
        }
        return new Vocabulary(ids, pieces.Count);
    }

    /// <summary>The pieces that text is made of.</summary>
    private static Dictionary<string, int> TextPieces(IReadOnlyList<SentencePiece> pieces, HashSet<int> special)
    {
        Dictionary<string, int> texts = [];
        for (int id = 0; id < pieces.Count; id++)
        {
            if (pieces[id].Kind is PieceKind.Normal or PieceKind.UserDefined or PieceKind.Unused && !special.Contains(id)) texts.Add(pieces[id].Text, id);
        }
        return texts;
    }

    /// <summary>
    /// Control pieces, and what the settings add: they are found in the text as it is. User-defined pieces are found in the normalised text.
    /// </summary>
    private static List<AddedToken> ReadAddedTokens(IReadOnlyList<SentencePiece> pieces, Vocabulary vocabulary, TokenizerSettings settings)
    {
        Dictionary<int, AddedToken> tokens = [];
        for (int id = 0; id < pieces.Count; id++)
        {
            if (pieces[id].Kind is PieceKind.Control or PieceKind.Unknown) tokens.Add(id, new AddedToken(id, pieces[id].Text, Special: true));
            else if (pieces[id].Kind == PieceKind.UserDefined) tokens.Add(id, new AddedToken(id, pieces[id].Text, Special: false, Normalized: true));
        }
        foreach ((AddedToken token, JsonField field) in settings.AddedTokens(Vocabulary.LargestPlausibleId(pieces.Count)))
        {
            bool isPiece = vocabulary.PieceOrNull(token.Id) == token.Content;
            bool isNew = vocabulary.PieceOrNull(token.Id) is null && !vocabulary.TryGetId(token.Content, out _);
            if (!isPiece && !(isNew && tokens.TryAdd(token.Id, token with { Normalized = false })))
                throw field.Wrong($"the id of \"{token.Content}\" in tokenizer.model, or one that no token has", $"{token.Id}");
            if (isPiece && token.Special) tokens[token.Id] = token with { Normalized = false };
        }
        foreach (string name in settings.SpecialTokens)
        {
            if (vocabulary.TryGetId(name, out int id) && tokens.GetValueOrDefault(id) is not { Special: true }) tokens[id] = new AddedToken(id, name, Special: true);
        }
        return [.. tokens.Values];
    }

    private static SequenceNormalizer ReadNormalizer(string file, SentencePieceProto proto)
    {
        List<INormalizer> steps = [];
        if (proto.CharacterMap.Length > 0) steps.Add(new SentencePieceMapNormalizer(ReadMap(file, proto.CharacterMap), UserDefined(proto.Pieces)));
        if (proto.RemoveExtraWhitespaces) steps.Add(new CollapseSpacesNormalizer());
        if (proto.AddDummyPrefix) steps.Add(proto.WhitespaceIsSuffix ? new AppendNormalizer(" ") : new PrependNormalizer(" "));
        if (proto.EscapeWhitespaces) steps.Add(new LiteralReplaceNormalizer(" ", Marker.ToString()));
        return new SequenceNormalizer(steps);
    }

    private static CharacterMap ReadMap(string file, byte[] map) =>
        CharacterMap.TryRead(map) ?? throw new ModelLoadException(file, "normalizer_spec.precompiled_charsmap", "expected a map of characters, found other bytes");

    /// <summary>Pieces that are matched in the raw text, before the map changes their characters.</summary>
    private static IEnumerable<AddedToken> UserDefined(IReadOnlyList<SentencePiece> pieces) =>
        pieces.Where(piece => piece.Kind == PieceKind.UserDefined).Select(piece => new AddedToken(0, piece.Text, Special: false));

    private static int? IndexOf(SentencePieceProto proto, PieceKind kind, int id) =>
        (uint)id < (uint)proto.Pieces.Count && proto.Pieces[id].Kind == kind ? id : null;
}
