using System.Buffers;

namespace Decart.Inference.Tokenization;

/// <summary>A token that is found in the text before the model sees it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">Whether it is left out when decoding.</param>
/// <param name="SingleWord">Whether it is found only where no word character touches it.</param>
/// <param name="StripLeft">Whether it swallows white space in front of it.</param>
/// <param name="StripRight">Whether it swallows white space after it.</param>
/// <param name="Normalized">Whether it is searched for in the normalised text.</param>
internal sealed record AddedToken(
    int Id, string Content, bool Special, bool SingleWord = false, bool StripLeft = false, bool StripRight = false, bool Normalized = false)
{
    /// <summary>What is searched for.</summary>
    public string Pattern { get; init; } = Content;

    /// <summary>
    /// Whether it is read as plain text where users' text must not act: it is special, or written the way of such tokens in a file that does not
    /// say that they are special.
    /// </summary>
    public bool IsControl => Special || Content is ['<', '|' or '\uFF5C', _, .., '|' or '\uFF5C', '>'];
}

/// <summary>A part of a text: an added token, or (with a negative id) text for the model.</summary>
internal readonly record struct Segment(Piece Piece, int Id)
{
    public bool IsText => Id < 0;
}

/// <summary>Finds added tokens in a text: the leftmost first, of those the longest.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly Dictionary<string, AddedToken>.AlternateLookup<ReadOnlySpan<char>> _tokens;
    private readonly Dictionary<char, int[]> _lengths;
    private readonly SearchValues<char> _firstCharacters;
    private readonly Predicate<AddedToken> _isControl;

    /// <param name="tokens">The tokens.</param>
    /// <param name="isControl">Which of them are plain text where a text says so.</param>
    public AddedTokenMatcher(IEnumerable<AddedToken> tokens, Predicate<AddedToken>? isControl = null)
    {
        _isControl = isControl ?? (token => token.IsControl);
        Dictionary<string, AddedToken> byPattern = [];
        foreach (AddedToken token in tokens)
        {
            if (token.Pattern.Length > 0) byPattern.TryAdd(token.Pattern, token);
        }
        _tokens = byPattern.GetAlternateLookup<ReadOnlySpan<char>>();
        _lengths = byPattern.Keys.GroupBy(pattern => pattern[0])
            .ToDictionary(group => group.Key, group => group.Select(pattern => pattern.Length).Distinct().OrderDescending().ToArray());
        _firstCharacters = SearchValues.Create(_lengths.Keys.ToArray());
        HasControl = byPattern.Values.Any(token => _isControl(token));
    }

    /// <summary>Whether any of the tokens is one that may be plain text.</summary>
    public bool HasControl { get; }

    /// <summary>Appends the segments that make up the text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="segments">Where the segments go.</param>
    /// <param name="plain">Where control tokens are plain text; one that is there only in part is plain text too.</param>
    /// <param name="textOffset">Where in the ranges' text this text begins.</param>
    public void Split(ReadOnlySpan<char> text, List<Segment> segments, TextRanges plain = default, int textOffset = 0)
    {
        int textStart = 0;
        int position = 0;
        while (text[position..].IndexOfAny(_firstCharacters) is >= 0 and int offset)
        {
            position += offset;
            if (TokenAt(text, position, plain, textOffset) is not { } token)
            {
                position++;
                continue;
            }
            (int start, int end) = (position, position + token.Pattern.Length);
            position = end;
            if (token.SingleWord && (EndsWithWord(text[..start]) || StartsWithWord(text[end..]))) continue;
            if (token.StripLeft) start = Math.Max(textStart, text[..start].TrimEnd().Length);
            if (token.StripRight) position = end = text.Length - text[end..].TrimStart().Length;
            if (start > textStart) segments.Add(new Segment(new Piece(textStart, start - textStart), -1));
            segments.Add(new Segment(new Piece(start, end - start), token.Id));
            textStart = end;
        }
        if (textStart < text.Length) segments.Add(new Segment(new Piece(textStart, text.Length - textStart), -1));
    }

    private AddedToken? TokenAt(ReadOnlySpan<char> text, int position, TextRanges plain, int textOffset)
    {
        foreach (int length in _lengths[text[position]])
        {
            if (position + length > text.Length || !_tokens.TryGetValue(text.Slice(position, length), out AddedToken? token)) continue;
            bool isPlain = !plain.IsEmpty && _isControl(token) && plain.Touches(textOffset + position, textOffset + position + length);
            if (!isPlain) return token;
        }
        return null;
    }

    private static bool StartsWithWord(ReadOnlySpan<char> text) => text.Length > 0 && CodePoints.IsWord(CodePoints.At(text, 0, out _));

    private static bool EndsWithWord(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty) return false;
        int last = text.Length - 1;
        if (last > 0 && char.IsSurrogatePair(text[last - 1], text[last])) last--;
        return CodePoints.IsWord(CodePoints.At(text, last, out _));
    }
}
