using System.Globalization;

namespace Decart.Inference.Chat.Jinja;

/// <summary>Formats as <c>'{} is {name:&gt;10}'.format(…)</c> does, with attributes looked up as templates look them up.</summary>
internal sealed class BraceFormat
{
    private readonly StringValue _format;
    private readonly CallArguments _arguments;
    private int _automatic;
    private bool _isManual;

    private BraceFormat(StringValue format, CallArguments arguments)
    {
        _format = format;
        _arguments = arguments;
    }

    private Rendering Rendering => _arguments.Rendering;

    public static StringValue Apply(StringValue format, CallArguments arguments)
    {
        BraceFormat formatter = new(format, arguments);
        MarkedBuilder builder = new(arguments.Rendering.Budget);
        int position = 0;
        formatter.Write(builder, ref position, isNested: false);
        return builder.ToValue();
    }

    public static StringValue ApplyMap(StringValue format, CallArguments arguments)
    {
        if (arguments.Only("format_map") is not DictionaryValue map) throw new JinjaException("format_map() expects a mapping");
        return Apply(format, new CallArguments(arguments.Rendering, [], [.. map.Entries.Select(entry => new KeyValuePair<string, Value>(entry.Key.ToText(arguments.Rendering).Text, entry.Value))]));
    }

    /// <summary>Writes the text up to its end, or up to the brace that ends a format specification.</summary>
    private void Write(MarkedBuilder builder, ref int position, bool isNested)
    {
        string text = _format.Text;
        while (position < text.Length)
        {
            char character = text[position];
            bool isDouble = !isNested && position + 1 < text.Length && text[position + 1] == character;
            if (character == '}' && isNested) return;
            if (character is '{' or '}' && isDouble)
            {
                builder.Append(_format, position, 1);
                position += 2;
            }
            else if (character == '{')
            {
                position++;
                WriteField(builder, ref position);
            }
            else if (character == '}')
            {
                throw new JinjaException("Single '}' encountered in format string");
            }
            else
            {
                builder.Append(_format, position, 1);
                position++;
            }
        }
        if (isNested) throw new JinjaException("expected '}' before end of string");
    }

    private void WriteField(MarkedBuilder builder, ref int position)
    {
        using RenderBudget.Level level = Rendering.Budget.Enter();
        int end = _format.Text.AsSpan(position).IndexOfAny("!:}");
        if (end < 0) throw new JinjaException("expected '}' before end of string");
        Value value = Find(_format.Text.Substring(position, end));
        position += end;
        if (_format.Text[position] == '!')
        {
            char conversion = position + 1 < _format.Text.Length ? _format.Text[position + 1] : '\0';
            value = Converted(value, conversion);
            position += 2;
        }
        string specification = "";
        if (position < _format.Text.Length && _format.Text[position] == ':')
        {
            position++;
            MarkedBuilder nested = new(Rendering.Budget);
            Write(nested, ref position, isNested: true);
            specification = nested.ToValue().Text;
        }
        if (position >= _format.Text.Length || _format.Text[position] != '}') throw new JinjaException("expected '}' before end of string");
        position++;
        WriteValue(builder, value, specification);
    }

    private void WriteValue(MarkedBuilder builder, Value value, string specification)
    {
        if (specification.Length == 0)
        {
            value.Print(builder, Rendering);
            return;
        }
        FormatSpecification format = FormatSpecification.Parse(specification, out char? type);
        if (value is StringValue text)
        {
            if (type is not (null or 's')) throw new JinjaException($"Unknown format code '{type}' for object of type 'str'");
            format.WriteText(text, builder, Rendering);
        }
        else if (Operators.AsFloat(value) is not null)
        {
            Value number = Operators.AsInteger(value) is { } integer ? new IntegerValue(integer) : value;
            if (type is 's') throw new JinjaException($"Unknown format code 's' for object of type '{value.TypeName}'");
            format.WriteNumber(number, type, builder);
        }
        else
        {
            throw new JinjaException($"unsupported format string passed to {value.TypeName}.__format__");
        }
    }

    private StringValue Converted(Value value, char conversion)
    {
        if (conversion == 's') return value.ToText(Rendering);
        if (conversion is not ('r' or 'a')) throw new JinjaException($"Unknown conversion specifier '{conversion}'");
        MarkedBuilder representation = new(Rendering.Budget);
        value.Represent(representation, Rendering);
        return representation.ToValue();
    }

    /// <summary>The value of a field such as <c>0</c>, <c>name</c>, <c>name.attribute</c> or <c>name[key]</c>.</summary>
    private Value Find(string field)
    {
        int end = field.AsSpan().IndexOfAny(".[");
        string first = end < 0 ? field : field[..end];
        Value value = Argument(first);
        while (end >= 0 && end < field.Length)
        {
            int start = end + 1;
            bool isItem = field[end] == '[';
            end = isItem ? field.IndexOf(']', start) : field.AsSpan(start).IndexOfAny(".[") is >= 0 and var offset ? start + offset : field.Length;
            if (end < 0) throw new JinjaException("Missing ']' in format string");
            string name = field[start..end];
            value = isItem
                ? Expression.GetItem(value, int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) ? new IntegerValue(index) : new StringValue(name), Rendering)
                : Expression.GetAttribute(value, name, Rendering);
            if (isItem) end++;
        }
        return value;
    }

    private Value Argument(string name)
    {
        int index;
        if (name.Length == 0)
        {
            if (_isManual) throw new JinjaException("cannot switch from manual field specification to automatic field numbering");
            index = _automatic++;
        }
        else if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out index))
        {
            if (_automatic > 0) throw new JinjaException("cannot switch from automatic field numbering to manual field specification");
            _isManual = true;
        }
        else
        {
            return _arguments.Keyword(name) ?? throw new JinjaException($"the format names '{name}', which is not given");
        }
        return index < _arguments.Positional.Count ? _arguments.Positional[index] : throw new JinjaException("Replacement index out of range for positional args tuple");
    }
}
