namespace Decart.Inference.Tokenization;

/// <summary>A range of characters.</summary>
internal readonly record struct Piece(int Start, int Length)
{
    public int End => Start + Length;
}
