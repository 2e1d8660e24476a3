using System.Runtime.InteropServices;

namespace Decart.Inference.Tokenization;

/// <summary>A text on its way through the pre-tokenizers: characters, and the pieces of them that are encoded one by one.</summary>
internal sealed class PreTokenizedText(EncodingBudget budget)
{
    private readonly List<Piece> _matches = [];
    private List<Piece> _pieces = [];
    private List<Piece> _previous = [];
    private ReadOnlyMemory<char> _text;

    /// <summary>Whether the text's first character is the first one of what the caller wants encoded.</summary>
    public bool BeginsInput { get; private set; }

    public ReadOnlySpan<Piece> Pieces => CollectionsMarshal.AsSpan(_pieces);

    public ReadOnlySpan<char> Text => _text.Span;

    /// <summary>What dividing the text may take.</summary>
    public EncodingBudget Budget { get; } = budget;

    /// <summary>Starts over with a text in one piece.</summary>
    public void Reset(ReadOnlyMemory<char> text, bool beginsInput)
    {
        BeginsInput = beginsInput;
        _text = text;
        _pieces.Clear();
        Add(0, text.Length);
    }

    /// <summary>Divides every piece at the pattern's matches.</summary>
    /// <param name="pattern">What is searched for in each piece.</param>
    /// <param name="behavior">What becomes of the matches.</param>
    /// <param name="invert">Whether matches and the text between them change places.</param>
    public void Split(ITextPattern pattern, SplitBehavior behavior, bool invert = false)
    {
        BeginPass();
        ReadOnlySpan<char> text = Text;
        foreach (Piece piece in _previous)
        {
            _matches.Clear();
            pattern.Match(text.Slice(piece.Start, piece.Length), _matches, Budget);
            Divide(piece, behavior, invert);
        }
    }

    /// <summary>Rewrites every piece into a new text.</summary>
    /// <param name="capacity">The most characters that all pieces together can become.</param>
    /// <param name="rewrite">Writes a piece and returns the number of characters written.</param>
    public void Rewrite(int capacity, Rewriter rewrite)
    {
        BeginPass();
        ReadOnlySpan<char> text = Text;
        char[] rewritten = new char[capacity];
        int position = 0;
        foreach (Piece piece in _previous)
        {
            int written = rewrite(text.Slice(piece.Start, piece.Length), rewritten.AsSpan(position));
            Add(position, position + written);
            position += written;
        }
        _text = rewritten.AsMemory(0, position);
    }

    /// <summary>Writes what becomes of <paramref name="piece"/> and returns its length.</summary>
    public delegate int Rewriter(ReadOnlySpan<char> piece, Span<char> destination);

    private void BeginPass()
    {
        (_pieces, _previous) = (_previous, _pieces);
        _pieces.Clear();
    }

    private void Divide(Piece piece, SplitBehavior behavior, bool invert)
    {
        if (behavior == SplitBehavior.Isolated) Isolate(piece);
        else Merge(piece, behavior, invert);
    }

    private void Isolate(Piece piece)
    {
        int position = piece.Start;
        foreach (Piece match in _matches)
        {
            Add(position, piece.Start + match.Start);
            position = piece.Start + match.End;
            Add(piece.Start + match.Start, position);
        }
        Add(position, piece.End);
    }

    private void Merge(Piece piece, SplitBehavior behavior, bool invert)
    {
        // The section in the making: pieces that the behaviour merges are joined here before they are added.
        int start = 0;
        bool previousIsMatch = false;
        int position = 0;
        foreach (Piece match in _matches)
        {
            if (match.Start > position) Next(position, match.Start, isMatch: invert);
            Next(match.Start, match.End, isMatch: !invert);
            position = match.End;
        }
        if (position < piece.Length) Next(position, piece.Length, isMatch: invert);
        if (behavior != SplitBehavior.Removed) Add(piece.Start + start, piece.End);

        void Next(int from, int to, bool isMatch)
        {
            if (behavior == SplitBehavior.Removed)
            {
                if (!isMatch) Add(piece.Start + from, piece.Start + to);
                return;
            }
            bool boundary = behavior switch
            {
                SplitBehavior.MergedWithPrevious => !isMatch || previousIsMatch,
                SplitBehavior.MergedWithNext => isMatch || !previousIsMatch,
                _ => isMatch != previousIsMatch,
            };
            if (boundary)
            {
                Add(piece.Start + start, piece.Start + from);
                start = from;
            }
            previousIsMatch = isMatch;
        }
    }

    private void Add(int start, int end)
    {
        if (end > start) _pieces.Add(new Piece(start, end - start));
    }
}

/// <summary>What becomes of the delimiters at which a text is split.</summary>
internal enum SplitBehavior
{
    /// <summary>A delimiter is a piece of its own.</summary>
    Isolated,
    /// <summary>Delimiters are dropped.</summary>
    Removed,
    /// <summary>A delimiter ends the piece before it.</summary>
    MergedWithPrevious,
    /// <summary>A delimiter begins the piece after it.</summary>
    MergedWithNext,
    /// <summary>Adjacent delimiters are one piece.</summary>
    Contiguous,
}
