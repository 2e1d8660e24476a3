using System.Buffers;
using System.Text.RegularExpressions;

namespace Decart.Inference.Tokenization;

/// <summary>A regular expression as tokenizers write them: Oniguruma's syntax, over code points.</summary>
internal sealed class RegexPattern : ITextPattern
{
    private readonly Regex _regex;
    private readonly PlaneProjection _projection;

    private RegexPattern(string expression)
    {
        OnigurumaTranslation translation = OnigurumaTranslation.Of(expression);
        _regex = new Regex(translation.Expression, RegexOptions.CultureInvariant | RegexOptions.Multiline | RegexOptions.Compiled);
        _projection = new PlaneProjection(translation);
    }

    /// <summary>The pattern of an expression, by a scanner where there is one.</summary>
    /// <exception cref="ArgumentException">The expression is malformed or uses what is not supported.</exception>
    public static ITextPattern Create(string expression) => expression switch
    {
        Gpt2Pattern.Expression => Gpt2Pattern.Instance,
        Cl100kPattern.ThreeDigits => new Cl100kPattern(mostDigits: 3),
        Cl100kPattern.SingleDigits => new Cl100kPattern(mostDigits: 1),
        _ => CreateRegex(expression),
    };

    /// <summary>The pattern of an expression, by the regular expression engine in any case.</summary>
    /// <exception cref="ArgumentException">The expression is malformed or uses what is not supported.</exception>
    public static RegexPattern CreateRegex(string expression) => new(expression);

    public void Match(ReadOnlySpan<char> text, List<Piece> matches)
    {
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            foreach (ValueMatch match in _regex.EnumerateMatches(text)) matches.Add(new Piece(match.Index, match.Length));
            return;
        }
        char[] projected = ArrayPool<char>.Shared.Rent(text.Length);
        try
        {
            MatchProjected(text, projected.AsSpan(0, _projection.Project(text, projected)), matches);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(projected);
        }
    }

    /// <summary>Matches one character a code point and says where in the text that is.</summary>
    private void MatchProjected(ReadOnlySpan<char> text, ReadOnlySpan<char> projected, List<Piece> matches)
    {
        int codePoint = 0, position = 0;
        foreach (ValueMatch match in _regex.EnumerateMatches(projected))
        {
            Advance(match.Index, text);
            int start = position;
            Advance(match.Index + match.Length, text);
            matches.Add(new Piece(start, position - start));
        }

        void Advance(int target, ReadOnlySpan<char> text)
        {
            for (; codePoint < target; codePoint++)
            {
                CodePoints.At(text, position, out int length);
                position += length;
            }
        }
    }
}
