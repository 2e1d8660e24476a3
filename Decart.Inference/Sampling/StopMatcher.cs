using System.Text;

namespace Decart.Inference.Sampling;

/// <summary>
/// Finds stop sequences in a text that arrives in pieces. What could be the beginning of one is held back, so that no part of a stop
/// sequence is ever passed on. The occurrence that ends first counts, of several that end together the longest: the outcome does not
/// depend on where the pieces were cut.
/// </summary>
internal sealed class StopMatcher(IReadOnlyList<string> stops)
{
    private readonly StringBuilder _held = new();

    /// <summary>Whether a stop sequence has appeared; from then on all text is dropped.</summary>
    public bool Matched { get; private set; }

    /// <summary>Takes the next piece and returns the text that is certain to precede any stop sequence.</summary>
    public string Append(string piece)
    {
        if (Matched) return "";
        if (stops.Count == 0) return piece;
        int start = _held.Length;
        string text = _held.Append(piece).ToString();
        _held.Clear();
        for (int end = start + 1; end <= text.Length; end++)
        {
            if (LongestEndingAt(text.AsSpan(0, end)) is not (> 0 and var length)) continue;
            Matched = true;
            return text[..(end - length)];
        }
        int held = LongestBeginning(text);
        _held.Append(text, text.Length - held, held);
        return text[..^held];
    }

    /// <summary>The text ends here: returns what was held back.</summary>
    public string Flush()
    {
        string rest = _held.ToString();
        _held.Clear();
        return rest;
    }

    private int LongestEndingAt(ReadOnlySpan<char> text)
    {
        int longest = 0;
        foreach (string stop in stops)
        {
            if (stop.Length > longest && text.EndsWith(stop, StringComparison.Ordinal)) longest = stop.Length;
        }
        return longest;
    }

    /// <summary>Length of the longest suffix that begins a stop sequence.</summary>
    private int LongestBeginning(ReadOnlySpan<char> text)
    {
        int longest = 0;
        foreach (string stop in stops)
        {
            for (int length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
            {
                if (text.EndsWith(stop.AsSpan(0, length), StringComparison.Ordinal)) longest = length;
            }
        }
        return longest;
    }
}
