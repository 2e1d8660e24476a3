namespace Decart.Inference.Tokenization;

/// <summary>Turns one piece of normalised text into ids. Safe for use by any number of threads.</summary>
internal interface ITokenModel
{
    /// <summary>Appends the ids of a non-empty piece.</summary>
    void Encode(ReadOnlySpan<char> piece, List<int> ids, EncodingBudget budget);
}
