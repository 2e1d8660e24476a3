using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Decart.Inference.Chat.Jinja;

/// <summary>The methods of texts.</summary>
internal static class StringMethods
{
    private delegate Value Body(StringValue text, Value?[] arguments, Rendering rendering);

    private static readonly FrozenDictionary<string, (Signature Signature, Body Body)> Methods = Table().ToFrozenDictionary(entry => entry.Signature.Name);

    /// <summary>A method of a text; null where texts have no such method.</summary>
    public static FunctionValue? Find(StringValue text, string name) => name switch
    {
        "format" => new FunctionValue(name, arguments => BraceFormat.Apply(text, arguments)),
        "format_map" => new FunctionValue(name, arguments => BraceFormat.ApplyMap(text, arguments)),
        _ when Methods.TryGetValue(name, out (Signature Signature, Body Body) method) =>
            new FunctionValue(name, arguments => method.Body(text, arguments.Bind(method.Signature), arguments.Rendering)),
        _ => null,
    };

    /// <summary>Without the characters at one end or both; white space unless others are named.</summary>
    public static StringValue Strip(StringValue text, Value? characters, Rendering rendering, bool left = true, bool right = true)
    {
        string? named = characters is null or NoneValue ? null : RequireText(characters, "strip").Text;
        (int start, int end) = (0, text.Text.Length);
        while (left && start < end && Strips(text.Text, start, LengthAt(text.Text, start), named)) start += LengthAt(text.Text, start);
        while (right && end > start)
        {
            int length = end - start > 1 && char.IsSurrogatePair(text.Text[end - 2], text.Text[end - 1]) ? 2 : 1;
            if (!Strips(text.Text, end - length, length, named)) break;
            end -= length;
        }
        rendering.Budget.Step((text.Text.Length - (end - start)) / RenderBudget.CharactersPerStep);
        return text.Slice(start, end, rendering);
    }

    public static StringValue Upper(StringValue text, Rendering rendering) => Ascii.IsValid(text.Text)
        ? Same(text, text.Text.ToUpperInvariant(), rendering)
        : text.Map((_, rune) => PythonText.Upper(rune), rendering);

    public static StringValue Lower(StringValue text, Rendering rendering) => Ascii.IsValid(text.Text)
        ? Same(text, text.Text.ToLowerInvariant(), rendering)
        : text.Map((offset, rune) => PythonText.Lower(text.Text, offset, rune), rendering);

    public static StringValue Capitalize(StringValue text, Rendering rendering) =>
        text.Map((offset, rune) => offset == 0 ? PythonText.Title(rune) : PythonText.Lower(text.Text, offset, rune), rendering);

    public static StringValue Replace(StringValue text, StringValue old, StringValue replacement, int count, Rendering rendering)
    {
        MarkedBuilder builder = new(rendering.Budget);
        if (count < 0) count = int.MaxValue;
        int done = 0;
        if (old.Text.Length == 0)
        {
            foreach ((int start, int length) in text.Characters())
            {
                if (count-- > 0) builder.Append(replacement);
                builder.Append(text, start, length);
            }
            if (count > 0) builder.Append(replacement);
            return builder.ToValue();
        }
        while (count > 0 && text.Text.IndexOf(old.Text, done, StringComparison.Ordinal) is >= 0 and var found)
        {
            rendering.Budget.Step();
            builder.Append(text, done, found - done);
            builder.Append(replacement);
            done = found + old.Text.Length;
            count--;
        }
        if (done == 0) return text;
        builder.Append(text, done, text.Text.Length - done);
        return builder.ToValue();
    }

    /// <summary>The lines, with or without what ends them.</summary>
    public static List<StringValue> Lines(StringValue text, bool keepEnds, Rendering rendering)
    {
        List<StringValue> lines = [];
        int start = 0;
        for (int i = 0; i < text.Text.Length; i++)
        {
            if (!PythonText.EndsLine(text.Text[i])) continue;
            int end = i + (text.Text[i] == '\r' && i + 1 < text.Text.Length && text.Text[i + 1] == '\n' ? 2 : 1);
            lines.Add(text.Slice(start, keepEnds ? end : i, rendering));
            rendering.Budget.Step();
            start = end;
            i = end - 1;
        }
        if (start < text.Text.Length) lines.Add(text.Slice(start, text.Text.Length, rendering));
        return lines;
    }

    /// <summary>The text with as many fill characters around it as make it a width.</summary>
    public static StringValue Pad(StringValue text, int before, int after, string fill, Rendering rendering)
    {
        if (before <= 0 && after <= 0) return text;
        MarkedBuilder builder = new(rendering.Budget);
        builder.AppendRepeated(new StringValue(fill), before);
        builder.Append(text);
        builder.AppendRepeated(new StringValue(fill), after);
        return builder.ToValue();
    }

    public static StringValue Center(StringValue text, int width, string fill, Rendering rendering)
    {
        int missing = width - text.CodePoints;
        int before = (missing / 2) + (missing & width & 1);
        return Pad(text, before, missing - before, fill, rendering);
    }

    public static StringValue Join(StringValue separator, Value items, Rendering rendering)
    {
        MarkedBuilder builder = new(rendering.Budget);
        int index = 0;
        foreach (Value item in items.Iterate(rendering))
        {
            if (item is not StringValue text) throw new JinjaException($"sequence item {index}: expected str instance, {item.TypeName} found");
            if (index++ > 0) builder.Append(separator);
            builder.Append(text);
        }
        return builder.ToValue();
    }

    /// <summary>A whole number that an argument must be.</summary>
    public static int RequireInt(Value value) => Operators.AsInteger(value) is { } integer
        ? (int)System.Numerics.BigInteger.Max(int.MinValue, System.Numerics.BigInteger.Min(int.MaxValue, integer))
        : throw Wrong($"'{value.TypeName}' object cannot be interpreted as an integer", value);

    public static StringValue RequireText(Value value, string function) => value as StringValue ?? throw Wrong($"{function}() argument must be str, not {value.TypeName}", value);

    private static JinjaException Wrong(string message, Value value) => new(value is UndefinedValue undefined ? undefined.Problem : message);

    private static IEnumerable<(Signature Signature, Body Body)> Table() =>
    [
        (new("strip", "chars?"), (text, arguments, rendering) => Strip(text, arguments[0], rendering)),
        (new("lstrip", "chars?"), (text, arguments, rendering) => Strip(text, arguments[0], rendering, right: false)),
        (new("rstrip", "chars?"), (text, arguments, rendering) => Strip(text, arguments[0], rendering, left: false)),
        (new("split", "sep?", "maxsplit?"), (text, arguments, rendering) => Split(text, arguments, rendering, fromRight: false)),
        (new("rsplit", "sep?", "maxsplit?"), (text, arguments, rendering) => Split(text, arguments, rendering, fromRight: true)),
        (new("splitlines", "keepends?"), (text, arguments, rendering) => new ListValue(Lines(text, arguments[0]?.IsTrue ?? false, rendering))),
        (new("partition", "sep"), (text, arguments, rendering) => Partition(text, arguments[0]!, rendering, fromRight: false)),
        (new("rpartition", "sep"), (text, arguments, rendering) => Partition(text, arguments[0]!, rendering, fromRight: true)),
        (new("startswith", "prefix", "start?", "end?"), (text, arguments, rendering) => Affix(text, arguments, rendering, "startswith", static (part, affix) => part.StartsWith(affix, StringComparison.Ordinal))),
        (new("endswith", "suffix", "start?", "end?"), (text, arguments, rendering) => Affix(text, arguments, rendering, "endswith", static (part, affix) => part.EndsWith(affix, StringComparison.Ordinal))),
        (new("removeprefix", "prefix"), (text, arguments, rendering) => RemovePrefix(text, RequireText(arguments[0]!, "removeprefix").Text, rendering)),
        (new("removesuffix", "suffix"), (text, arguments, rendering) => RemoveSuffix(text, RequireText(arguments[0]!, "removesuffix").Text, rendering)),
        (new("replace", "old", "new", "count?"), (text, arguments, rendering) =>
            Replace(text, RequireText(arguments[0]!, "replace"), RequireText(arguments[1]!, "replace"), arguments[2] is { } count ? RequireInt(count) : -1, rendering)),
        (new("find", "sub", "start?", "end?"), (text, arguments, rendering) => new IntegerValue(Find(text, arguments, rendering, fromRight: false))),
        (new("rfind", "sub", "start?", "end?"), (text, arguments, rendering) => new IntegerValue(Find(text, arguments, rendering, fromRight: true))),
        (new("index", "sub", "start?", "end?"), (text, arguments, rendering) => Index(text, arguments, rendering, fromRight: false)),
        (new("rindex", "sub", "start?", "end?"), (text, arguments, rendering) => Index(text, arguments, rendering, fromRight: true)),
        (new("count", "sub", "start?", "end?"), Count),
        (new("upper"), (text, _, rendering) => Upper(text, rendering)),
        (new("lower"), (text, _, rendering) => Lower(text, rendering)),
        (new("casefold"), (text, _, rendering) => Lower(text.Map((_, rune) => rune.Value == 0xDF ? "ss" : rune.ToString(), rendering), rendering)),
        (new("capitalize"), (text, _, rendering) => Capitalize(text, rendering)),
        (new("title"), (text, _, rendering) => Title(text, rendering)),
        (new("swapcase"), (text, _, rendering) => text.Map((offset, rune) => PythonText.IsUpper(rune) ? PythonText.Lower(text.Text, offset, rune) : PythonText.Upper(rune), rendering)),
        (new("join", "iterable"), (text, arguments, rendering) => Join(text, arguments[0]!, rendering)),
        (new("center", "width", "fillchar?"), (text, arguments, rendering) => Center(text, RequireInt(arguments[0]!), Fill(arguments[1]), rendering)),
        (new("ljust", "width", "fillchar?"), (text, arguments, rendering) => Pad(text, 0, RequireInt(arguments[0]!) - text.CodePoints, Fill(arguments[1]), rendering)),
        (new("rjust", "width", "fillchar?"), (text, arguments, rendering) => Pad(text, RequireInt(arguments[0]!) - text.CodePoints, 0, Fill(arguments[1]), rendering)),
        (new("zfill", "width"), (text, arguments, rendering) => ZeroFill(text, RequireInt(arguments[0]!), rendering)),
        (new("expandtabs", "tabsize?"), (text, arguments, rendering) => ExpandTabs(text, arguments[0] is { } size ? RequireInt(size) : 8, rendering)),
        (new("isspace"), (text, _, rendering) => Every(text, rendering, rune => rune.IsBmp && PythonText.IsSpace((char)rune.Value))),
        (new("isalpha"), (text, _, rendering) => Every(text, rendering, Rune.IsLetter)),
        (new("isdigit"), (text, _, rendering) => Every(text, rendering, rune => CharUnicodeInfo.GetDigitValue(rune.ToString(), 0) >= 0)),
        (new("isdecimal"), (text, _, rendering) => Every(text, rendering, rune => CharUnicodeInfo.GetDecimalDigitValue(rune.ToString(), 0) >= 0)),
        (new("isnumeric"), (text, _, rendering) => Every(text, rendering, rune => CharUnicodeInfo.GetNumericValue(rune.ToString(), 0) >= 0)),
        (new("isalnum"), (text, _, rendering) => Every(text, rendering, rune => Rune.IsLetter(rune) || CharUnicodeInfo.GetNumericValue(rune.ToString(), 0) >= 0)),
        (new("isascii"), (text, _, _) => BooleanValue.Of(Ascii.IsValid(text.Text))),
        (new("isprintable"), (text, _, rendering) => BooleanValue.Of(!text.IsTrue || Every(text, rendering, rune => rune.Value == ' ' || PythonText.IsPrintable(Rune.GetUnicodeCategory(rune))).IsTrue)),
        (new("isidentifier"), (text, _, rendering) => BooleanValue.Of(!char.IsAsciiDigit(text.Text.FirstOrDefault()) && Every(text, rendering, rune => Rune.IsLetterOrDigit(rune) || rune.Value == '_').IsTrue)),
        (new("isupper"), (text, _, rendering) => IsCase(text, rendering, PythonText.IsUpper)),
        (new("islower"), (text, _, rendering) => IsCase(text, rendering, PythonText.IsLower)),
        (new("istitle"), (text, _, rendering) => BooleanValue.Of(text.Text.EnumerateRunes().Any(PythonText.IsCased) && Title(text, rendering).Text == text.Text)),
    ];

    /// <summary>Whether a text has cased characters, and all of one case.</summary>
    public static BooleanValue IsCase(StringValue text, Rendering rendering, Func<Rune, bool> isCase)
    {
        rendering.Budget.Step(text.Text.Length / RenderBudget.CharactersPerStep);
        bool any = false;
        foreach (Rune rune in text.Text.EnumerateRunes())
        {
            if (!PythonText.IsCased(rune)) continue;
            if (!isCase(rune)) return BooleanValue.False;
            any = true;
        }
        return BooleanValue.Of(any);
    }

    private static BooleanValue Every(StringValue text, Rendering rendering, Func<Rune, bool> test)
    {
        rendering.Budget.Step(text.Text.Length / RenderBudget.CharactersPerStep);
        foreach (Rune rune in text.Text.EnumerateRunes())
        {
            if (!test(rune)) return BooleanValue.False;
        }
        return BooleanValue.Of(text.IsTrue);
    }

    private static StringValue Same(StringValue text, string mapped, Rendering rendering)
    {
        rendering.Budget.Write(mapped.Length, 0);
        return new StringValue(mapped, text.Data);
    }

    private static StringValue Title(StringValue text, Rendering rendering)
    {
        bool within = false;
        return text.Map((offset, rune) =>
        {
            string mapped = within ? PythonText.Lower(text.Text, offset, rune) : PythonText.IsCased(rune) ? PythonText.Title(rune) : rune.ToString();
            within = PythonText.IsCased(rune);
            return mapped;
        }, rendering);
    }

    private static ListValue Split(StringValue text, Value?[] arguments, Rendering rendering, bool fromRight)
    {
        int most = arguments[1] is { } count && RequireInt(count) is >= 0 and var given ? given : int.MaxValue;
        List<(int Start, int End)> parts = arguments[0] is null or NoneValue
            ? SplitAtSpace(text.Text, most, fromRight)
            : SplitAt(text.Text, RequireText(arguments[0]!, "split").Text, most, fromRight);
        rendering.Budget.Step(parts.Count);
        return new ListValue([.. parts.Select(part => text.Slice(part.Start, part.End, rendering))]);
    }

    private static List<(int Start, int End)> SplitAt(string text, string separator, int most, bool fromRight)
    {
        if (separator.Length == 0) throw new JinjaException("empty separator");
        List<(int Start, int End)> parts = [];
        (int start, int end) = (0, text.Length);
        if (fromRight)
        {
            while (parts.Count < most && end > 0 && text.LastIndexOf(separator, end - 1, end, StringComparison.Ordinal) is >= 0 and var found)
            {
                parts.Add((found + separator.Length, end));
                end = found;
            }
            parts.Add((0, end));
            parts.Reverse();
            return parts;
        }
        while (parts.Count < most && text.IndexOf(separator, start, StringComparison.Ordinal) is >= 0 and var found)
        {
            parts.Add((start, found));
            start = found + separator.Length;
        }
        parts.Add((start, end));
        return parts;
    }

    private static List<(int Start, int End)> SplitAtSpace(string text, int most, bool fromRight)
    {
        List<(int Start, int End)> parts = [];
        if (fromRight)
        {
            for (int end = SkipBack(text.Length, spaces: true); end > 0;)
            {
                int start = parts.Count < most ? SkipBack(end, spaces: false) : 0;
                if (start == 0 && parts.Count >= most)
                {
                    parts.Add((0, end));
                    break;
                }
                parts.Add((start, end));
                end = SkipBack(start, spaces: true);
            }
            parts.Reverse();
            return parts;
        }
        for (int start = Skip(0, spaces: true); start < text.Length;)
        {
            if (parts.Count >= most)
            {
                parts.Add((start, text.Length));
                break;
            }
            int end = Skip(start, spaces: false);
            parts.Add((start, end));
            start = Skip(end, spaces: true);
        }
        return parts;

        int Skip(int position, bool spaces)
        {
            while (position < text.Length && PythonText.IsSpace(text[position]) == spaces) position++;
            return position;
        }

        int SkipBack(int position, bool spaces)
        {
            while (position > 0 && PythonText.IsSpace(text[position - 1]) == spaces) position--;
            return position;
        }
    }

    private static TupleValue Partition(StringValue text, Value separator, Rendering rendering, bool fromRight)
    {
        StringValue sought = RequireText(separator, "partition");
        if (!sought.IsTrue) throw new JinjaException("empty separator");
        int found = fromRight ? text.Text.LastIndexOf(sought.Text, StringComparison.Ordinal) : text.Text.IndexOf(sought.Text, StringComparison.Ordinal);
        if (found < 0) return fromRight ? new TupleValue([StringValue.Empty, StringValue.Empty, text]) : new TupleValue([text, StringValue.Empty, StringValue.Empty]);
        int end = found + sought.Text.Length;
        return new TupleValue([text.Slice(0, found, rendering), text.Slice(found, end, rendering), text.Slice(end, text.Text.Length, rendering)]);
    }

    private static BooleanValue Affix(StringValue text, Value?[] arguments, Rendering rendering, string name, Func<string, string, bool> test)
    {
        if (Range(text, arguments[1], arguments[2]) is not { } range) return BooleanValue.False;
        string part = range.Start == 0 && range.End == text.Text.Length ? text.Text : text.Text[range.Start..range.End];
        IReadOnlyList<Value> affixes = arguments[0] is TupleValue several ? several.Values : [arguments[0]!];
        rendering.Budget.Step(affixes.Count);
        return BooleanValue.Of(affixes.Any(affix => test(part, RequireText(affix, name).Text)));
    }

    private static StringValue RemovePrefix(StringValue text, string prefix, Rendering rendering) =>
        text.Text.StartsWith(prefix, StringComparison.Ordinal) ? text.Slice(prefix.Length, text.Text.Length, rendering) : text;

    private static StringValue RemoveSuffix(StringValue text, string suffix, Rendering rendering) =>
        suffix.Length > 0 && text.Text.EndsWith(suffix, StringComparison.Ordinal) ? text.Slice(0, text.Text.Length - suffix.Length, rendering) : text;

    /// <summary>The offsets that start and end mean, by code points; null where the start is beyond the end.</summary>
    private static (int Start, int End)? Range(StringValue text, Value? start, Value? end)
    {
        int first = Bound(start, 0), last = Bound(end, text.CodePoints);
        return first > last ? null : (text.OffsetOf(first), text.OffsetOf(last));

        int Bound(Value? bound, int missing)
        {
            if (bound is null or NoneValue) return missing;
            int index = RequireInt(bound);
            if (index < 0) index = Math.Max(0, index + text.CodePoints);
            return bound == end ? Math.Min(index, text.CodePoints) : index;
        }
    }

    private static int Find(StringValue text, Value?[] arguments, Rendering rendering, bool fromRight)
    {
        string sought = RequireText(arguments[0]!, "find").Text;
        if (Bounded(text, arguments, rendering) is not { } range) return -1;
        ReadOnlySpan<char> part = text.Text.AsSpan(range.Start..range.End);
        int found = fromRight ? part.LastIndexOf(sought) : part.IndexOf(sought);
        return found < 0 ? -1 : text.CodePointAt(range.Start + found);
    }

    private static IntegerValue Index(StringValue text, Value?[] arguments, Rendering rendering, bool fromRight) =>
        Find(text, arguments, rendering, fromRight) is >= 0 and var found ? new IntegerValue(found) : throw new JinjaException("substring not found");

    private static IntegerValue Count(StringValue text, Value?[] arguments, Rendering rendering)
    {
        string sought = RequireText(arguments[0]!, "count").Text;
        if (Bounded(text, arguments, rendering) is not { } range) return new IntegerValue(0);
        if (sought.Length == 0) return new IntegerValue(text.CodePointAt(range.End) - text.CodePointAt(range.Start) + 1);
        return new IntegerValue(text.Text.AsSpan(range.Start..range.End).Count(sought));
    }

    private static (int Start, int End)? Bounded(StringValue text, Value?[] arguments, Rendering rendering)
    {
        rendering.Budget.Step(text.Text.Length / RenderBudget.CharactersPerStep);
        return Range(text, arguments[1], arguments[2]) is { } range && range.Start <= text.Text.Length ? range : null;
    }

    private static StringValue ZeroFill(StringValue text, int width, Rendering rendering)
    {
        int missing = width - text.CodePoints;
        if (missing <= 0) return text;
        int sign = text.Text is ['+' or '-', ..] ? 1 : 0;
        MarkedBuilder builder = new(rendering.Budget);
        builder.Append(text, 0, sign);
        builder.AppendRepeated(new StringValue("0"), missing);
        builder.Append(text, sign, text.Text.Length - sign);
        return builder.ToValue();
    }

    private static StringValue ExpandTabs(StringValue text, int size, Rendering rendering)
    {
        MarkedBuilder builder = new(rendering.Budget);
        int column = 0;
        foreach ((int start, int length) in text.Characters())
        {
            if (text.Text[start] == '\t')
            {
                int spaces = size > 0 ? size - (column % size) : 0;
                builder.AppendRepeated(new StringValue(" "), spaces);
                column += spaces;
                continue;
            }
            builder.Append(text, start, length);
            column = text.Text[start] is '\n' or '\r' ? 0 : column + 1;
        }
        return builder.ToValue();
    }

    private static string Fill(Value? value) => value is null ? " "
        : RequireText(value, "center") is { CodePoints: 1 } fill ? fill.Text
        : throw new JinjaException("The fill character must be exactly one character long");

    private static bool Strips(string text, int offset, int length, string? named) =>
        named is null ? PythonText.IsSpace(text[offset]) : named.AsSpan().IndexOf(text.AsSpan(offset, length)) >= 0;

    private static int LengthAt(string text, int offset) => offset + 1 < text.Length && char.IsSurrogatePair(text[offset], text[offset + 1]) ? 2 : 1;
}
