namespace Decart.Inference.Sampling;

/// <summary>
/// Finds stop sequences in a text that arrives in pieces. What could be the beginning of one is held back, so that no part of a stop
/// sequence is ever passed on. The occurrence that ends first counts, of several that end together the longest: the outcome does not
/// depend on where the pieces were cut. Special tokens between the pieces are seen by the sequences that name some, by no others.
/// </summary>
/// <param name="inText">The sequences as text, or null if there are none.</param>
/// <param name="withTokens">Those that name special tokens, with the tokens in the names' places; null if none does.</param>
internal sealed class StopMatcher(StopAutomaton? inText, StopAutomaton? withTokens)
{
    private char[] _text = [];
    private int _start, _end; // of what is held back
    private int _textState, _tokenState;

    /// <summary>The stop sequence that has appeared, or null; from then on all text is dropped.</summary>
    public string? Matched { get; private set; }

    /// <summary>Takes the next piece and returns the text that is certain to precede any stop sequence.</summary>
    public string Append(string piece)
    {
        if (Matched is not null) return "";
        if (inText is null) return piece;
        MakeRoom(piece.Length);
        foreach (char character in piece)
        {
            _text[_end++] = character;
            _textState = inText.Next(_textState, character);
            if (withTokens is not null) _tokenState = withTokens.Next(_tokenState, character);
            if (TakeMatch() is { } before) return before;
        }
        return TakeCertain();
    }

    /// <summary>Takes a special token and returns the text that is now certain to precede any stop sequence.</summary>
    public string AppendToken(int id)
    {
        if (Matched is not null || withTokens is null) return "";
        _tokenState = withTokens.Next(_tokenState, StopAutomaton.TokenSymbol(id));
        return TakeMatch() ?? TakeCertain();
    }

    /// <summary>The text ends here: returns what was held back.</summary>
    public string Flush() => Take(_end - _start);

    private string? TakeMatch()
    {
        (string Sequence, int Characters)? match = inText?.Match(_textState);
        if (withTokens?.Match(_tokenState) is { } other && !(match?.Characters >= other.Characters)) match = other;
        if (match is not { } found) return null;
        Matched = found.Sequence;
        string before = Take(_end - _start - found.Characters);
        _start = _end;
        return before;
    }

    private string TakeCertain()
    {
        int held = Math.Max(inText?.HeldCharacters(_textState) ?? 0, withTokens?.HeldCharacters(_tokenState) ?? 0);
        return Take(_end - _start - held);
    }

    private string Take(int length)
    {
        if (length == 0) return "";
        string text = new(_text, _start, length);
        _start += length;
        return text;
    }

    private void MakeRoom(int length)
    {
        if (_text.Length - _end >= length) return;
        char[] from = _text;
        int held = _end - _start;
        if (held + length > _text.Length / 2) _text = new char[2 * (held + length)];
        Array.Copy(from, _start, _text, 0, held);
        (_start, _end) = (0, held);
    }
}
