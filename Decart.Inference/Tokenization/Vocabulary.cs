namespace Decart.Inference.Tokenization;

/// <summary>The pieces of a model by id and by text. Ids may have gaps; a text belongs to one id.</summary>
internal sealed class Vocabulary
{
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _idsBySpan;
    private readonly string?[] _pieces;

    /// <param name="ids">The ids by piece; owned by the vocabulary from here on. Ids are distinct and at least 0.</param>
    /// <param name="size">One more than the largest id.</param>
    public Vocabulary(Dictionary<string, int> ids, int size)
    {
        _ids = ids;
        _idsBySpan = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _pieces = new string?[size];
        foreach ((string piece, int id) in ids) _pieces[id] = piece;
    }

    /// <summary>One more than the largest id.</summary>
    public int Size => _pieces.Length;

    /// <summary>The piece of an id, or null for an id in a gap or beyond the vocabulary.</summary>
    public string? PieceOrNull(int id) => id < _pieces.Length ? _pieces[id] : null;

    /// <summary>Every piece with its id, in no particular order.</summary>
    public IReadOnlyDictionary<string, int> Ids => _ids;

    public bool TryGetId(ReadOnlySpan<char> piece, out int id) => _idsBySpan.TryGetValue(piece, out id);

    /// <summary>The id of the piece that two texts make together.</summary>
    public bool TryGetId(ReadOnlySpan<char> left, ReadOnlySpan<char> right, out int id)
    {
        int length = left.Length + right.Length;
        Span<char> joined = length <= 128 ? stackalloc char[length] : new char[length];
        left.CopyTo(joined);
        right.CopyTo(joined[left.Length..]);
        return TryGetId(joined, out id);
    }

    /// <summary>The id of a piece, or -1.</summary>
    public int IdOrMissing(ReadOnlySpan<char> piece) => TryGetId(piece, out int id) ? id : -1;

    /// <summary>The pieces that text is made of: all but some, under their ids.</summary>
    public Vocabulary Without(IReadOnlySet<int> ids) =>
        ids.All(id => PieceOrNull(id) is null) ? this : new Vocabulary(_ids.Where(piece => !ids.Contains(piece.Value)).ToDictionary(), Size);

    /// <summary>The ids of the pieces &lt;0x00&gt; .. &lt;0xFF&gt;, or null unless all of them are there.</summary>
    public int[]? ByteIds()
    {
        int[] ids = new int[256];
        for (int value = 0; value < ids.Length; value++)
        {
            if (!TryGetId($"<0x{value:X2}>", out ids[value])) return null;
        }
        return ids;
    }

    /// <summary>The largest id that is accepted for a number of tokens: gaps are fine, a table made mostly of gaps is not.</summary>
    public static int LargestPlausibleId(int tokens) => (int)Math.Min(int.MaxValue - 1, (8L * tokens) + 65_535);
}
