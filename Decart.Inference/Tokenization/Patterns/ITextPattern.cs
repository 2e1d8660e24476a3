namespace Decart.Inference.Tokenization;

/// <summary>Something that is searched for in a text: a literal, a class of characters, a regular expression.</summary>
internal interface ITextPattern
{
    /// <summary>Appends the matches in <paramref name="text"/>, from left to right, without overlaps.</summary>
    void Match(ReadOnlySpan<char> text, List<Piece> matches, EncodingBudget budget);
}

/// <summary>A fixed text.</summary>
internal sealed class LiteralPattern(string literal) : ITextPattern
{
    public void Match(ReadOnlySpan<char> text, List<Piece> matches, EncodingBudget budget)
    {
        if (literal.Length == 0) return;
        int position = 0;
        while (text[position..].IndexOf(literal, StringComparison.Ordinal) is >= 0 and int offset)
        {
            matches.Add(new Piece(position + offset, literal.Length));
            position += offset + literal.Length;
        }
    }
}

/// <summary>Single code points of a class.</summary>
internal sealed class CodePointPattern(Func<int, bool> isMember) : ITextPattern
{
    public void Match(ReadOnlySpan<char> text, List<Piece> matches, EncodingBudget budget)
    {
        for (int position = 0; position < text.Length;)
        {
            int codePoint = CodePoints.At(text, position, out int length);
            if (isMember(codePoint)) matches.Add(new Piece(position, length));
            position += length;
        }
    }
}
