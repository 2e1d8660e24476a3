using System.Text;
using Decart.Inference.Tokenization;

namespace Decart.Inference.Chat.Jinja;

/// <summary>Builds a text and remembers which of its characters come from data. What is built counts towards the budget of a rendering.</summary>
internal sealed class MarkedBuilder(RenderBudget budget)
{
    private readonly StringBuilder _text = new();
    private readonly List<int> _bounds = [];

    public int Length => _text.Length;

    /// <summary>Appends what the template wrote, or characters that stand for those of data.</summary>
    public void Append(ReadOnlySpan<char> text, bool isData = false)
    {
        if (text.IsEmpty) return;
        budget.Write(text.Length, Length);
        if (isData) Mark(Length, Length + text.Length);
        _text.Append(text);
    }

    public void Append(StringValue value) => Append(value, 0, value.Text.Length);

    /// <summary>Appends a part of a text, with what is known of its characters.</summary>
    public void Append(StringValue value, int start, int length)
    {
        if (length == 0) return;
        budget.Write(length, Length);
        TextRanges data = value.Data;
        for (int index = data.FirstEndingAfter(start); index < data.Count && data[index].Start < start + length; index++)
        {
            int shift = Length - start;
            Mark(Math.Max(data[index].Start, start) + shift, Math.Min(data[index].End, start + length) + shift);
        }
        _text.Append(value.Text, start, length);
    }

    /// <summary>Appends a text several times.</summary>
    public void AppendRepeated(StringValue value, int count)
    {
        for (int i = 0; i < count && value.Text.Length > 0; i++) Append(value);
    }

    public StringValue ToValue() => new(_text.ToString(), new TextRanges([.. _bounds]));

    private void Mark(int start, int end)
    {
        if (_bounds.Count > 0 && _bounds[^1] == start) _bounds[^1] = end;
        else _bounds.AddRange([start, end]);
    }
}
