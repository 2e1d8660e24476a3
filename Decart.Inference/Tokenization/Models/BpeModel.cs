using System.Runtime.InteropServices;

namespace Decart.Inference.Tokenization;

/// <summary>
/// Byte-pair encoding (Sennrich et al., 2016): adjacent symbols are merged in the order of the merges' ranks, the leftmost
/// first among equals. A priority queue over a linked list of symbols makes that n log n in the length of the piece.
/// </summary>
internal sealed class BpeModel : ITokenModel
{
    private readonly Vocabulary _vocabulary;
    private readonly Dictionary<long, Merge> _merges;
    private readonly UnknownSymbols _unknown;
    private readonly bool _ignoreMerges;
    private readonly int[] _basicPlaneIds;
    private readonly WordCache _cache = new();

    [ThreadStatic]
    private static BpeWorkspace? _workspace;

    /// <param name="vocabulary">The pieces.</param>
    /// <param name="merges">What a pair of ids (<see cref="Pair"/>) becomes, and when.</param>
    /// <param name="unknown">What becomes of characters that are no pieces.</param>
    /// <param name="ignoreMerges">Whether a piece that is in the vocabulary as a whole is taken without merging.</param>
    public BpeModel(Vocabulary vocabulary, Dictionary<long, Merge> merges, UnknownSymbols unknown, bool ignoreMerges)
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
    }

    /// <summary>The key of a pair of adjacent symbols.</summary>
    public static long Pair(int left, int right) => ((long)left << 32) | (uint)right;

    public void Encode(ReadOnlySpan<char> piece, List<int> ids)
    {
        if (_cache.TryGet(piece, out int[]? cached))
        {
            ids.AddRange(cached.AsSpan());
            return;
        }
        int count = ids.Count;
        if (_ignoreMerges && _vocabulary.TryGetId(piece, out int whole)) ids.Add(whole);
        else MergeSymbols(piece, ids);
        _cache.Add(piece, CollectionsMarshal.AsSpan(ids)[count..]);
    }

    private void MergeSymbols(ReadOnlySpan<char> piece, List<int> ids)
    {
        BpeWorkspace workspace = _workspace ??= new BpeWorkspace();
        workspace.Begin();
        AddSymbols(piece, workspace.Symbols);
        workspace.Merge(_merges, ids);
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

/// <summary>The result of merging a pair of symbols; the lowest rank is merged first.</summary>
internal readonly record struct Merge(int Rank, int Id);

/// <summary>What becomes of a character that is no piece: its bytes' tokens, else the unknown token, else nothing.</summary>
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
