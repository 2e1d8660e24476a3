namespace Decart.Inference.Tokenization;

/// <summary>
/// SentencePiece's BPE merges any pair that makes a piece, the piece with the largest score first. Written out as a table of merges
/// it is the same algorithm as merging by rank.
/// </summary>
internal static class ScoredMerges
{
    /// <summary>The most UTF-16 units in a piece that is made by merging.</summary>
    public const int LongestPiece = 256;

    /// <summary>All pairs of pieces that make a piece.</summary>
    /// <param name="pieces">The pieces with their ids; none is longer than <see cref="LongestPiece"/>.</param>
    /// <param name="scores">The score of each id.</param>
    public static MergeTable Create(Dictionary<string, int> pieces, ReadOnlySpan<float> scores)
    {
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids = pieces.GetAlternateLookup<ReadOnlySpan<char>>();
        // Pieces of equal score have equal rank, so that the leftmost pair is merged first.
        Dictionary<float, int> ranks = [];
        foreach (float score in scores.ToArray().Distinct().OrderDescending()) ranks.Add(score, ranks.Count);
        List<(int Left, int Right, Merge Merge)> found = [];
        foreach ((string piece, int id) in pieces)
        {
            Merge merge = new(ranks[scores[id]], id);
            for (int split = 1; split < piece.Length; split++)
            {
                if (ids.TryGetValue(piece.AsSpan(0, split), out int left) && ids.TryGetValue(piece.AsSpan(split), out int right))
                    found.Add((left, right, merge));
            }
        }
        MergeTable merges = new(found.Count);
        foreach ((int left, int right, Merge merge) in found) merges.Set(left, right, merge);
        return merges;
    }
}
