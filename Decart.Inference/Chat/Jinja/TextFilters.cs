using System.Text;

namespace Decart.Inference.Chat.Jinja;

/// <summary>The filters that make texts.</summary>
internal static class TextFilters
{
    private static readonly StringValue NewLine = new("\n");

    public static IEnumerable<(Signature Signature, Filter Body)> Table() =>
    [
        (new("string"), static (value, _, rendering) => Soft(value, rendering)),
        (new("trim", "chars?"), static (value, arguments, rendering) => StringMethods.Strip(Soft(value, rendering), arguments[0], rendering)),
        (new("upper"), static (value, _, rendering) => StringMethods.Upper(Soft(value, rendering), rendering)),
        (new("lower"), static (value, _, rendering) => StringMethods.Lower(Soft(value, rendering), rendering)),
        (new("capitalize"), static (value, _, rendering) => StringMethods.Capitalize(Soft(value, rendering), rendering)),
        (new("title"), static (value, _, rendering) => Title(Soft(value, rendering), rendering)),
        (new("replace", "old", "new", "count?"), Replace),
        (new("center", "width?"), static (value, arguments, rendering) => StringMethods.Center(Soft(value, rendering), Int(arguments[0], 80), " ", rendering)),
        (new("indent", "width?", "first?", "blank?"), Indent),
        (new("truncate", "length?", "killwords?", "end?", "leeway?"), Truncate),
        (new("wordcount"), static (value, _, rendering) => WordCount(Soft(value, rendering), rendering)),
        (new("join", "d?", "attribute?"), Join),
        (new("escape"), static (value, _, rendering) => Markup.Escape(Soft(value, rendering), rendering)),
        (new("e"), static (value, _, rendering) => Markup.Escape(Soft(value, rendering), rendering)),
        (new("forceescape"), static (value, _, rendering) => Markup.EscapeAlways(value.ToText(rendering), rendering)),
        (new("safe"), static (value, _, rendering) => Soft(value, rendering).AsMarkup()),
        (new("tojson", "ensure_ascii?", "indent?", "separators?", "sort_keys?"), JsonWriter.Apply),
    ];

    /// <summary>A number that an argument is, or what it is where it was left out.</summary>
    public static int Int(Value? value, int missing) => value is null ? missing : StringMethods.RequireInt(value);

    /// <summary>The text of a value; what is safe in HTML stays so.</summary>
    private static StringValue Soft(Value value, Rendering rendering) => value as StringValue ?? value.ToText(rendering);

    private static StringValue Replace(Value value, Value?[] arguments, Rendering rendering)
    {
        int count = arguments[2] is null or NoneValue ? -1 : StringMethods.RequireInt(arguments[2]!);
        return StringMethods.Replace(value.ToText(rendering), arguments[0]!.ToText(rendering), arguments[1]!.ToText(rendering), count, rendering);
    }

    /// <summary>Words begin after white space and after brackets and hyphens, but not after apostrophes.</summary>
    private static StringValue Title(StringValue text, Rendering rendering)
    {
        bool begins = true;
        return text.Map((offset, rune) =>
        {
            bool separates = rune.IsBmp && (PythonText.IsSpace((char)rune.Value) || (char)rune.Value is '-' or '(' or '{' or '[' or '<');
            string mapped = separates ? rune.ToString() : begins ? PythonText.Upper(rune) : PythonText.Lower(text.Text, offset, rune);
            begins = separates;
            return mapped;
        }, rendering);
    }

    private static StringValue Indent(Value value, Value?[] arguments, Rendering rendering)
    {
        if (value is not StringValue text) throw new JinjaException(value is UndefinedValue undefined ? undefined.Problem : $"unsupported operand type(s) for +=: '{value.TypeName}' and 'str'");
        StringValue indention = arguments[0] as StringValue ?? new StringValue(new string(' ', Math.Clamp(Int(arguments[0], 4), 0, RenderBudget.LongestText)));
        bool first = arguments[1]?.IsTrue ?? false, blank = arguments[2]?.IsTrue ?? false;
        MarkedBuilder ended = new(rendering.Budget);
        ended.Append(text);
        ended.Append(NewLine);
        List<StringValue> lines = StringMethods.Lines(ended.ToValue(), keepEnds: false, rendering);
        MarkedBuilder builder = new(rendering.Budget);
        for (int i = 0; i < lines.Count; i++)
        {
            if (i > 0) builder.Append(NewLine);
            if (i == 0 ? first : blank || lines[i].IsTrue) builder.Append(indention);
            builder.Append(lines[i]);
        }
        return text.IsMarkup ? builder.ToValue().AsMarkup() : builder.ToValue();
    }

    private static Value Truncate(Value value, Value?[] arguments, Rendering rendering)
    {
        StringValue end = arguments[2] is { } given ? StringMethods.RequireText(given, "truncate") : new StringValue("...");
        int length = Int(arguments[0], 255), leeway = arguments[3] is null or NoneValue ? 5 : Int(arguments[3], 5);
        if (length < end.CodePoints) throw new JinjaException($"expected length >= {end.CodePoints}, got {length}");
        if (leeway < 0) throw new JinjaException($"expected leeway >= 0, got {leeway}");
        if (value.Length <= (long)length + leeway) return value;
        StringValue text = StringMethods.RequireText(value, "truncate");
        int kept = text.OffsetOf(length - end.CodePoints);
        if (!(arguments[1]?.IsTrue ?? false) && kept > 0 && text.Text.LastIndexOf(' ', kept - 1) is >= 0 and var space) kept = space;
        MarkedBuilder builder = new(rendering.Budget);
        builder.Append(text, 0, kept);
        builder.Append(end);
        return builder.ToValue();
    }

    private static IntegerValue WordCount(StringValue text, Rendering rendering)
    {
        rendering.Budget.Step(text.Text.Length / RenderBudget.CharactersPerStep);
        int count = 0;
        bool within = false;
        foreach (Rune rune in text.Text.EnumerateRunes())
        {
            bool isWord = Rune.IsLetterOrDigit(rune) || rune.Value == '_';
            if (isWord && !within) count++;
            within = isWord;
        }
        return new IntegerValue(count);
    }

    private static StringValue Join(Value value, Value?[] arguments, Rendering rendering)
    {
        Func<Value, Value> attribute = Selection.Attribute(arguments[1], rendering);
        StringValue separator = arguments[0]?.ToText(rendering) ?? StringValue.Empty;
        MarkedBuilder builder = new(rendering.Budget);
        bool isFirst = true;
        foreach (Value item in value.Iterate(rendering))
        {
            if (!isFirst) builder.Append(separator);
            isFirst = false;
            attribute(item).Print(builder, rendering);
        }
        return builder.ToValue();
    }
}
