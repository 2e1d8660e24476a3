using System.Globalization;

namespace Decart.Inference.Chat.Jinja;

/// <summary>Writes JSON as Python's <c>json.dumps</c> does, which is what transformers' <c>tojson</c> gives: without escapes for HTML.</summary>
internal sealed class JsonWriter
{
    private readonly Rendering _rendering;
    private readonly MarkedBuilder _builder;
    private readonly bool _asciiOnly, _sortsKeys;
    private readonly StringValue? _indent;
    private readonly StringValue _itemSeparator, _keySeparator;
    private int _level;

    private JsonWriter(Value?[] options, Rendering rendering)
    {
        _rendering = rendering;
        _builder = new MarkedBuilder(rendering.Budget);
        _asciiOnly = options[0]?.IsTrue ?? false;
        _indent = options[1] switch
        {
            null or NoneValue => null,
            StringValue text => text,
            { } spaces => new StringValue(new string(' ', Math.Clamp(StringMethods.RequireInt(spaces), 0, RenderBudget.LongestText))),
        };
        (_itemSeparator, _keySeparator) = Separators(options[2], _indent is not null, rendering);
        _sortsKeys = options[3]?.IsTrue ?? false;
    }

    public static StringValue Apply(Value value, Value?[] options, Rendering rendering)
    {
        JsonWriter writer = new(options, rendering);
        writer.Write(value);
        return writer._builder.ToValue();
    }

    /// <summary>The JSON of a value, on one line.</summary>
    public static StringValue Write(Value value, Rendering rendering) => Apply(value, new Value?[4], rendering);

    private static (StringValue Item, StringValue Key) Separators(Value? given, bool isIndented, Rendering rendering)
    {
        if (given is null or NoneValue) return (new StringValue(isIndented ? "," : ", "), new StringValue(": "));
        List<Value> both = given.ToList(rendering);
        if (both.Count != 2) throw new JinjaException($"not enough values to unpack (expected 2, got {both.Count})");
        return (StringMethods.RequireText(both[0], "tojson"), StringMethods.RequireText(both[1], "tojson"));
    }

    private void Write(Value value)
    {
        _rendering.Budget.Step();
        switch (value)
        {
            case StringValue text:
                WriteText(text);
                break;
            case NoneValue:
                _builder.Append("null");
                break;
            case BooleanValue boolean:
                _builder.Append(boolean.IsTrue ? "true" : "false");
                break;
            case IntegerValue integer:
                _builder.Append(integer.Number.ToString(CultureInfo.InvariantCulture));
                break;
            case FloatValue number:
                _builder.Append(Number(number.Number));
                break;
            case ListValue list:
                WriteItems('[', list.Values, Write, ']');
                break;
            case TupleValue tuple:
                WriteItems('[', tuple.Values, Write, ']');
                break;
            case DictionaryValue dictionary:
                WriteItems('{', Entries(dictionary), WriteEntry, '}');
                break;
            default:
                throw new JinjaException($"Object of type {value.TypeName} is not JSON serializable{(value is UndefinedValue undefined ? $": {undefined.Problem}" : "")}");
        }
    }

    private KeyValuePair<Value, Value>[] Entries(DictionaryValue dictionary)
    {
        if (!_sortsKeys) return [.. dictionary.Entries];
        KeyValuePair<Value, Value>[] entries = [.. dictionary.Entries];
        MergeSort.Sort(entries, (left, right) => ComparisonExpression.Holds(right.Key, "<", left.Key, _rendering));
        return entries;
    }

    private void WriteItems<T>(char open, IReadOnlyList<T> items, Action<T> write, char close)
    {
        _builder.Append([open]);
        if (items.Count > 0)
        {
            using RenderBudget.Level level = _rendering.Budget.Enter();
            _level++;
            for (int i = 0; i < items.Count; i++)
            {
                if (i > 0) _builder.Append(_itemSeparator);
                BeginLine();
                write(items[i]);
            }
            _level--;
            BeginLine();
        }
        _builder.Append([close]);
    }

    private void WriteEntry(KeyValuePair<Value, Value> entry)
    {
        WriteText(entry.Key switch
        {
            StringValue text => text,
            NoneValue => new StringValue("null"),
            BooleanValue boolean => new StringValue(boolean.IsTrue ? "true" : "false"),
            IntegerValue integer => new StringValue(integer.Number.ToString(CultureInfo.InvariantCulture)),
            FloatValue number => new StringValue(Number(number.Number)),
            _ => throw new JinjaException($"keys must be str, int, float, bool or None, not {entry.Key.TypeName}"),
        });
        _builder.Append(_keySeparator);
        Write(entry.Value);
    }

    private void WriteText(StringValue text)
    {
        _builder.Append("\"");
        int done = 0;
        for (int i = 0; i < text.Text.Length; i++)
        {
            if (Escape(text.Text[i]) is not { } escaped) continue;
            _builder.Append(text, done, i - done);
            _builder.Append(escaped, text.IsData(i));
            done = i + 1;
        }
        _builder.Append(text, done, text.Text.Length - done);
        _builder.Append("\"");
    }

    private string? Escape(char character) => character switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\f' => "\\f",
        '\b' => "\\b",
        < ' ' => $"\\u{(int)character:x4}",
        > '~' when _asciiOnly && character != '\x7f' => $"\\u{(int)character:x4}",
        _ => null,
    };

    private void BeginLine()
    {
        if (_indent is null) return;
        _builder.Append("\n");
        _builder.AppendRepeated(_indent, _level);
    }

    private static string Number(double number) => double.IsNaN(number) ? "NaN"
        : double.IsInfinity(number) ? number > 0 ? "Infinity" : "-Infinity"
        : PythonNumbers.Represent(number);
}
