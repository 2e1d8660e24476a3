namespace Decart.Inference.Tokenization;

/// <summary>
/// Ranges of characters in a text, such as those in which special tokens are plain text: ascending, and apart from each other. Immutable.
/// </summary>
internal readonly struct TextRanges
{
    /// <summary>Starts and ends in turn; null for none.</summary>
    private readonly int[]? _bounds;

    public TextRanges(ReadOnlySpan<int> bounds) => _bounds = bounds.IsEmpty ? null : bounds.ToArray();

    /// <summary>All of a text.</summary>
    public static TextRanges Whole(int length) => length == 0 ? default : new([0, length]);

    public int Count => (_bounds?.Length ?? 0) / 2;

    public bool IsEmpty => _bounds is null;

    /// <summary>The start and the end of a range.</summary>
    public (int Start, int End) this[int index] => (_bounds![2 * index], _bounds[(2 * index) + 1]);

    /// <summary>Whether any of the characters from start to end is in a range.</summary>
    public bool Touches(int start, int end)
    {
        int index = FirstEndingAfter(start);
        return index < Count && this[index].Start < end;
    }

    /// <summary>The first range that ends after a position.</summary>
    public int FirstEndingAfter(int position)
    {
        int low = 0, high = Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (this[middle].End <= position) low = middle + 1;
            else high = middle;
        }
        return low;
    }
}
