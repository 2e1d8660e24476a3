namespace Decart.Inference.Tokenization;

/// <summary>
/// The unigram language model (Kudo, 2018): of all ways to divide a piece into tokens, the one with the largest sum of scores,
/// found by the Viterbi algorithm over a trie of the tokens.
/// </summary>
internal sealed class UnigramModel : ITokenModel
{
    private const double UnknownPenalty = 10;
    private const int Root = 0;
    private const int UnknownId = -1;
    private const int CharactersBetweenChecks = 4096;

    private readonly Dictionary<long, int> _children = [];
    private readonly List<int> _ids = [-1];
    private readonly double[] _scores;
    private readonly double _unknownScore;
    private readonly UnknownSymbols _unknown;
    private readonly WordCache _cache = new();

    /// <param name="pieces">The pieces that text is divided into, with their ids.</param>
    /// <param name="scores">The score of each id.</param>
    /// <param name="unknown">What becomes of characters that are not in the vocabulary.</param>
    public UnigramModel(IEnumerable<KeyValuePair<string, int>> pieces, double[] scores, UnknownSymbols unknown)
    {
        _scores = scores;
        _unknown = unknown;
        double smallest = 0;
        foreach ((string piece, int id) in pieces)
        {
            Insert(piece, id);
            smallest = Math.Min(smallest, scores[id]);
        }
        _unknownScore = smallest - UnknownPenalty;
    }

    public void Encode(ReadOnlySpan<char> piece, List<int> ids, EncodingBudget budget)
    {
        if (_cache.TryGet(piece, out int[]? cached))
        {
            ids.AddRange(cached.AsSpan());
            return;
        }
        int count = ids.Count;
        Step[] best = FindBestPath(piece, budget);
        List<(Piece Range, int Id)> path = [];
        for (int end = piece.Length; end > 0; end = best[end].Start) path.Add((new Piece(best[end].Start, end - best[end].Start), best[end].Id));
        bool afterUnknown = false;
        for (int i = path.Count - 1; i >= 0; i--)
        {
            if (path[i].Id == UnknownId) _unknown.Add(piece.Slice(path[i].Range.Start, path[i].Range.Length), afterUnknown, ids);
            else ids.Add(path[i].Id);
            afterUnknown = path[i].Id == UnknownId;
        }
        _cache.Add(piece, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(ids)[count..]);
    }

    /// <summary>For every end of a token the best token that ends there.</summary>
    private Step[] FindBestPath(ReadOnlySpan<char> piece, EncodingBudget budget)
    {
        Step[] best = new Step[piece.Length + 1];
        best.AsSpan(1).Fill(new Step(double.NegativeInfinity, 0, UnknownId));
        for (int start = 0; start < piece.Length;)
        {
            if (start % CharactersBetweenChecks == 0) budget.ThrowIfCancelled();
            CodePoints.At(piece, start, out int characterLength);
            bool known = false;
            int node = Root;
            for (int end = start; end < piece.Length && _children.TryGetValue(Edge(node, piece[end]), out node);)
            {
                end++;
                if (_ids[node] < 0) continue;
                Offer(end, _scores[_ids[node]], _ids[node]);
                known |= end - start == characterLength;
            }
            if (!known) Offer(start + characterLength, _unknownScore, UnknownId);

            void Offer(int end, double score, int id)
            {
                double total = best[start].Score + score;
                if (total > best[end].Score) best[end] = new Step(total, start, id);
            }

            start += characterLength;
        }
        return best;
    }

    private void Insert(string piece, int id)
    {
        int node = Root;
        foreach (char character in piece)
        {
            if (!_children.TryGetValue(Edge(node, character), out int child))
            {
                child = _ids.Count;
                _ids.Add(-1);
                _children.Add(Edge(node, character), child);
            }
            node = child;
        }
        if (node != Root) _ids[node] = id;
    }

    private static long Edge(int node, char character) => ((long)node << 16) | character;

    private readonly record struct Step(double Score, int Start, int Id);
}
