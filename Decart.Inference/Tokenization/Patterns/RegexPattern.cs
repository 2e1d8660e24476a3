using System.Buffers;
using System.Text.RegularExpressions;
using Decart.Inference.Checkpoints;

namespace Decart.Inference.Tokenization;

/// <summary>A regular expression as tokenizers write them: Oniguruma's syntax, over code points.</summary>
internal sealed class RegexPattern : ITextPattern
{
    /// <summary>No expression that is meant well needs so long for one match, even on megabytes.</summary>
    private static readonly TimeSpan DefaultLongestSearch = TimeSpan.FromSeconds(2);

    private readonly string _expression;
    private readonly Regex _regex;
    private readonly PlaneProjection _projection;

    private RegexPattern(string expression, TimeSpan longestSearch)
    {
        OnigurumaTranslation translation = OnigurumaTranslation.Of(expression);
        _expression = expression;
        _regex = new Regex(translation.Expression, RegexOptions.CultureInvariant | RegexOptions.Multiline | RegexOptions.Compiled, longestSearch);
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
    /// <param name="expression">The expression.</param>
    /// <param name="longestSearch">How long the search for one match may take; 2 seconds unless given.</param>
    /// <exception cref="ArgumentException">The expression is malformed or uses what is not supported.</exception>
    public static RegexPattern CreateRegex(string expression, TimeSpan? longestSearch = null) => new(expression, longestSearch ?? DefaultLongestSearch);

    /// <exception cref="TokenizationException">A match, or all of them, took too long: the expression backtracks without end on this text.</exception>
    /// <exception cref="OperationCanceledException">The caller has cancelled.</exception>
    public void Match(ReadOnlySpan<char> text, List<Piece> matches, EncodingBudget budget)
    {
        try
        {
            MatchWithin(text, matches, budget);
        }
        catch (RegexMatchTimeoutException exception)
        {
            throw new TokenizationException(
                $"The tokenizer's expression \"{Quoted.Name(_expression)}\" found no next match within {_regex.MatchTimeout.TotalSeconds} s in a text of {text.Length} characters.",
                exception);
        }
    }

    private void MatchWithin(ReadOnlySpan<char> text, List<Piece> matches, EncodingBudget budget)
    {
        RequireTime(budget);
        if (!text.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            foreach (ValueMatch match in _regex.EnumerateMatches(text))
            {
                RequireTime(budget);
                matches.Add(new Piece(match.Index, match.Length));
            }
            return;
        }
        char[] projected = ArrayPool<char>.Shared.Rent(text.Length);
        try
        {
            MatchProjected(text, projected.AsSpan(0, _projection.Project(text, projected)), matches, budget);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(projected);
        }
    }

    private void RequireTime(EncodingBudget budget)
    {
        if (budget.IsSpent())
            throw new TokenizationException($"The tokenizer's expression \"{Quoted.Name(_expression)}\" did not divide the text within {budget.Limit.TotalSeconds} s.");
    }

    /// <summary>Matches one character a code point and says where in the text that is.</summary>
    private void MatchProjected(ReadOnlySpan<char> text, ReadOnlySpan<char> projected, List<Piece> matches, EncodingBudget budget)
    {
        int codePoint = 0, position = 0;
        foreach (ValueMatch match in _regex.EnumerateMatches(projected))
        {
            RequireTime(budget);
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
