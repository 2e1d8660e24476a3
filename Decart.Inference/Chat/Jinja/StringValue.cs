using System.Text;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Chat.Jinja;

/// <summary>
/// A text that remembers which of its characters come from data and which the template wrote. Whatever is made of a text (a part of it, another case, its JSON)
/// keeps that knowledge for each character, so that in the end only the template's own words can be control tokens.
/// </summary>
/// <param name="text">The text.</param>
/// <param name="data">Which of its characters come from data.</param>
/// <param name="isMarkup">Whether <c>safe</c> or <c>escape</c> made it: what is added to such a text is escaped for HTML.</param>
internal sealed class StringValue(string text, TextRanges data = default, bool isMarkup = false) : Value
{
    private int _codePoints = -1;

    public static StringValue Empty { get; } = new("");

    public override string TypeName => IsMarkup ? "Markup" : "str";

    public string Text { get; } = text;

    public TextRanges Data { get; } = data;

    public bool IsMarkup { get; } = isMarkup;

    public override bool IsTrue => Text.Length > 0;

    public override bool IsSequence => true;

    /// <summary>Number of code points, which Python counts characters by.</summary>
    public override int? Length => CodePoints;

    public int CodePoints => _codePoints >= 0 ? _codePoints : _codePoints = Count(Text);

    /// <summary>A text that comes from data, all of it.</summary>
    public static StringValue FromData(string text) => new(text, TextRanges.Whole(text.Length));

    /// <summary>Where a code point begins.</summary>
    public int OffsetOf(int codePoint)
    {
        if (CodePoints == Text.Length) return codePoint;
        int offset = 0;
        for (int i = 0; i < codePoint; i++) offset += char.IsHighSurrogate(Text[offset]) && IsPair(offset) ? 2 : 1;
        return offset;
    }

    /// <summary>Which code point stands at an offset.</summary>
    public int CodePointAt(int offset) => CodePoints == Text.Length ? offset : Count(Text.AsSpan(0, offset));

    /// <summary>A part of the text, by offsets.</summary>
    public StringValue Slice(int start, int end, Rendering rendering)
    {
        if (start == 0 && end == Text.Length) return this;
        if (end <= start) return Empty;
        MarkedBuilder builder = new(rendering.Budget);
        builder.Append(this, start, end - start);
        return builder.ToValue();
    }

    /// <summary>The ends of its characters in turn.</summary>
    public IEnumerable<(int Start, int Length)> Characters()
    {
        for (int offset = 0; offset < Text.Length;)
        {
            int length = IsPair(offset) ? 2 : 1;
            yield return (offset, length);
            offset += length;
        }
    }

    /// <summary>The same characters, each replaced by others that stand for it.</summary>
    /// <param name="map">Given the offset of a character and the character, what stands for it.</param>
    /// <param name="rendering">What it happens in.</param>
    public StringValue Map(Func<int, Rune, string> map, Rendering rendering)
    {
        MarkedBuilder builder = new(rendering.Budget);
        foreach ((int start, int length) in Characters())
        {
            string mapped = Rune.TryGetRuneAt(Text, start, out Rune rune) ? map(start, rune) : Text.Substring(start, length);
            builder.Append(mapped, IsData(start));
        }
        return builder.ToValue();
    }

    /// <summary>Whether a character comes from data.</summary>
    public bool IsData(int offset) => Data.Touches(offset, offset + 1);

    public StringValue AsMarkup() => IsMarkup ? this : new StringValue(Text, Data, isMarkup: true);

    public override IEnumerable<Value> Items(Rendering rendering)
    {
        foreach ((int start, int length) in Characters()) yield return Slice(start, start + length, rendering);
    }

    public override void Print(MarkedBuilder builder, Rendering rendering) => builder.Append(this);

    public override StringValue ToText(Rendering rendering) => IsMarkup ? new StringValue(Text, Data) : this;

    public override void Represent(MarkedBuilder builder, Rendering rendering)
    {
        string quote = Text.Contains('\'', StringComparison.Ordinal) && !Text.Contains('"', StringComparison.Ordinal) ? "\"" : "'";
        if (IsMarkup) builder.Append("Markup(");
        builder.Append(quote);
        foreach ((int start, int length) in Characters())
        {
            if (PythonText.Escape(Text, start, length, quote[0]) is { } escaped) builder.Append(escaped, IsData(start));
            else builder.Append(this, start, length);
        }
        builder.Append(quote);
        if (IsMarkup) builder.Append(")");
    }

    public override Value? Attribute(string name, Rendering rendering) => StringMethods.Find(this, name);

    public override Value? Item(Value key, Rendering rendering)
    {
        if (Slicing.IndexOf(key, CodePoints) is not { } index) return null;
        if (CodePoints < Text.Length) rendering.Budget.Step(Text.Length / RenderBudget.CharactersPerStep);
        int start = OffsetOf(index);
        return Slice(start, start + (IsPair(start) ? 2 : 1), rendering);
    }

    private bool IsPair(int offset) => offset + 1 < Text.Length && char.IsSurrogatePair(Text[offset], Text[offset + 1]);

    private static int Count(ReadOnlySpan<char> text)
    {
        int count = text.Length;
        int surrogate = text.IndexOfAnyInRange('\uD800', '\uDBFF');
        if (surrogate < 0) return count;
        for (int i = surrogate; i + 1 < text.Length; i++)
        {
            if (!char.IsSurrogatePair(text[i], text[i + 1])) continue;
            count--;
            i++;
        }
        return count;
    }
}
