namespace Decart.Inference.Tokenization;

/// <summary>Divides a text into the pieces that the model encodes one by one. Immutable.</summary>
internal interface IPreTokenizer
{
    void Apply(PreTokenizedText text);
}

/// <summary>Several pre-tokenizers, each working on the pieces of the one before.</summary>
internal sealed class SequencePreTokenizer(IReadOnlyList<IPreTokenizer> steps) : IPreTokenizer
{
    public void Apply(PreTokenizedText text)
    {
        foreach (IPreTokenizer step in steps) step.Apply(text);
    }
}

/// <summary>Divides at the matches of a pattern.</summary>
internal sealed class SplitPreTokenizer(ITextPattern pattern, SplitBehavior behavior, bool invert = false) : IPreTokenizer
{
    public void Apply(PreTokenizedText text) => text.Split(pattern, behavior, invert);
}

/// <summary>When a marker is put in front of a text.</summary>
internal enum PrependScheme
{
    Always,
    /// <summary>Only in front of the input's first text, not after an added token.</summary>
    First,
    Never,
}

/// <summary>Replaces spaces by a visible marker, puts one in front, and starts a piece at each (as SentencePiece does).</summary>
internal sealed class MetaspacePreTokenizer(char replacement, PrependScheme prepend, bool split) : IPreTokenizer
{
    private readonly LiteralPattern _marker = new(replacement.ToString());

    public void Apply(PreTokenizedText text)
    {
        bool first = text.BeginsInput;
        text.Rewrite(text.Text.Length + text.Pieces.Length, (piece, destination) =>
        {
            bool prefixed = prepend switch { PrependScheme.Always => true, PrependScheme.First => first, _ => false }
                && piece[0] != ' ' && piece[0] != replacement;
            first = false;
            if (prefixed)
            {
                destination[0] = replacement;
                destination = destination[1..];
            }
            piece.Replace(destination, ' ', replacement);
            return piece.Length + (prefixed ? 1 : 0);
        });
        if (split) text.Split(_marker, SplitBehavior.MergedWithNext);
    }
}
