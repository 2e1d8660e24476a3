using System.Runtime.InteropServices;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Byte-pair encoding (Sennrich et al., 2016): adjacent symbols are merged in the order of the merges' ranks, the leftmost
/// first among equals. A priority queue over a linked list of symbols makes that n log n in the length of the piece.
/// </summary>
internal sealed class BpeModel : ITokenModel
{
    // SentencePiece's marker of spaces.
    private const char Marker = '\u2581';

    private readonly Vocabulary _vocabulary;
    private readonly MergeTable _merges;
    private readonly UnknownSymbols _unknown;
    private readonly bool _ignoreMerges;
    private readonly int[] _basicPlaneIds;
    private readonly WordCache _cache = new();

    // Where no merge joins a marker to a word before it, text is encoded word by word.
    private readonly bool _wordsAreApart;

    [ThreadStatic]
    private static BpeWorkspace? _workspace;

    /// <param name="vocabulary">The pieces.</param>
    /// <param name="merges">What pairs of ids become, and when.</param>
    /// <param name="unknown">What becomes of characters that are not in the vocabulary.</param>
    /// <param name="ignoreMerges">Whether a piece that is in the vocabulary as a whole is taken without merging.</param>
    public BpeModel(Vocabulary vocabulary, MergeTable merges, UnknownSymbols unknown, bool ignoreMerges)
    {
        _vocabulary = vocabulary;
        _merges = merges;
        _unknown = unknown;
        _ignoreMerges = ignoreMerges;
        _basicPlaneIds = new int[char.MaxValue + 1];
        _basicPlaneIds.AsSpan().Fill(-1);
        foreach ((string piece, int id) in vocabulary.Ids)
        {
            if (piece.Length == 1) _basicPlaneIds[piece[0]] = id;
        }
        _wordsAreApart = !ignoreMerges && _basicPlaneIds[Marker] >= 0 && !merges.Merges.Any(merge => NextWord(vocabulary.PieceOrNull(merge.Id), 0) > 0);
    }

    public void Encode(ReadOnlySpan<char> piece, List<int> ids, EncodingBudget budget)
    {
        int start = 0;
        if (_wordsAreApart)
        {
            while (NextWord(piece, start) is > 0 and int end)
            {
                EncodeWord(piece[start..end], ids, budget);
                start = end;
            }
        }
        EncodeWord(piece[start..], ids, budget);
    }

    /// <summary>Where the next word begins that has a marker in front, or -1.</summary>
    private static int NextWord(ReadOnlySpan<char> piece, int start)
    {
        for (int position = start + 1; position < piece.Length; position++)
        {
            int offset = piece[position..].IndexOf(Marker);
            if (offset < 0) return -1;
            position += offset;
            if (piece[position - 1] != Marker) return position;
        }
        return -1;
    }

    private void EncodeWord(ReadOnlySpan<char> piece, List<int> ids, EncodingBudget budget)
    {
        if (_cache.TryGet(piece, out int[]? cached))
        {
            ids.AddRange(cached.AsSpan());
            return;
        }
        int count = ids.Count;
        if (_ignoreMerges && _vocabulary.TryGetId(piece, out int whole)) ids.Add(whole);
        else MergeSymbols(piece, ids, budget);
        _cache.Add(piece, CollectionsMarshal.AsSpan(ids)[count..]);
    }

    private void MergeSymbols(ReadOnlySpan<char> piece, List<int> ids, EncodingBudget budget)
    {
        BpeWorkspace workspace = _workspace ??= new BpeWorkspace();
        workspace.Begin();
        AddSymbols(piece, workspace.Symbols);
        workspace.Merge(_merges, ids, budget);
    }

    private void AddSymbols(ReadOnlySpan<char> piece, List<int> symbols)
    {
        bool afterUnknown = false;
        for (int position = 0; position < piece.Length;)
        {
            CodePoints.At(piece, position, out int length);
            int id = length == 1 ? _basicPlaneIds[piece[position]] : _vocabulary.IdOrMissing(piece.Slice(position, length));
            if (id >= 0) symbols.Add(id);
            else _unknown.Add(piece.Slice(position, length), afterUnknown, symbols);
            afterUnknown = id < 0;
            position += length;
        }
    }
}

/// <summary>What becomes of a character that is not in the vocabulary: its bytes' tokens, else the unknown token, else nothing.</summary>
/// <param name="ByteIds">The token of each byte value, or null.</param>
/// <param name="Id">The unknown token, or null.</param>
/// <param name="Fuse">Whether adjacent unknown characters are one unknown token.</param>
internal sealed record UnknownSymbols(int[]? ByteIds, int? Id, bool Fuse)
{
    public void Add(ReadOnlySpan<char> character, bool afterUnknown, List<int> ids)
    {
        if (ByteIds is not null)
        {
            Span<byte> utf8 = stackalloc byte[4];
            foreach (byte value in utf8[..System.Text.Encoding.UTF8.GetBytes(character, utf8)]) ids.Add(ByteIds[value]);
        }
        else if (Id is { } id && !(Fuse && afterUnknown))
        {
            ids.Add(id);
        }
    }
}
