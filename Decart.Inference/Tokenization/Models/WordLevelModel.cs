namespace Decart.Inference.Tokenization;

/// <summary>A piece is a token or it is unknown.</summary>
/// <param name="vocabulary">The pieces.</param>
/// <param name="unknownId">The unknown token, or -1.</param>
internal sealed class WordLevelModel(Vocabulary vocabulary, int unknownId) : ITokenModel
{
    public void Encode(ReadOnlySpan<char> piece, List<int> ids, EncodingBudget budget)
    {
        if (vocabulary.TryGetId(piece, out int id)) ids.Add(id);
        else if (unknownId >= 0) ids.Add(unknownId);
    }
}
