using System.Globalization;
using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>Formats as <c>'%s is %d' % values</c> does.</summary>
internal sealed class PercentFormat
{
    private readonly StringValue _format;
    private readonly Value _values;
    private readonly Rendering _rendering;
    private readonly MarkedBuilder _builder;
    private int _position, _used;

    private PercentFormat(StringValue format, Value values, Rendering rendering)
    {
        _format = format;
        _values = values;
        _rendering = rendering;
        _builder = new MarkedBuilder(rendering.Budget);
    }

    public static StringValue Apply(StringValue format, Value values, Rendering rendering) => new PercentFormat(format, values, rendering).Run();

    /// <summary>The filter <c>format</c>, which takes the values as arguments.</summary>
    public static StringValue ApplyFilter(StringValue format, CallArguments arguments)
    {
        if (arguments.Keywords.Count == 0) return Apply(format, new TupleValue(arguments.Positional), arguments.Rendering);
        if (arguments.Positional.Count > 0) throw new JinjaException("can't handle positional and keyword arguments at the same time");
        OrderedDictionary<Value, Value> entries = DictionaryValue.Create();
        foreach ((string name, Value value) in arguments.Keywords) entries[new StringValue(name)] = value;
        return Apply(format, new DictionaryValue(entries), arguments.Rendering);
    }

    private StringValue Run()
    {
        string text = _format.Text;
        while (text.IndexOf('%', _position) is >= 0 and var percent)
        {
            _builder.Append(_format, _position, percent - _position);
            _position = percent + 1;
            WriteField();
        }
        _builder.Append(_format, _position, text.Length - _position);
        bool allUsed = _values is TupleValue tuple ? _used == tuple.Values.Count : _used > 0 || _values is DictionaryValue or ListValue or UndefinedValue;
        return allUsed ? _builder.ToValue() : throw new JinjaException("not all arguments converted during string formatting");
    }

    private void WriteField()
    {
        Value? named = null;
        if (Current == '(')
        {
            int close = _format.Text.IndexOf(')', _position);
            if (close < 0) throw new JinjaException("incomplete format key");
            StringValue key = new(_format.Text[(_position + 1)..close]);
            if (_values is not DictionaryValue dictionary) throw new JinjaException("format requires a mapping");
            named = dictionary.Entries.TryGetValue(key, out Value? found) ? found : throw new JinjaException($"the values have no key '{key.Text}'");
            _used = 1;
            _position = close + 1;
        }
        string flags = "";
        while (Current is '#' or '0' or '-' or ' ' or '+') flags += Take();
        int width = ReadNumber() ?? 0;
        int? precision = null;
        if (Current == '.')
        {
            Take();
            precision = ReadNumber() ?? 0;
        }
        while (Current is 'h' or 'l' or 'L') Take();
        char conversion = Take();
        if (conversion == '%')
        {
            _builder.Append("%");
            return;
        }
        FormatSpecification specification = new()
        {
            Fill = flags.Contains('0') && !flags.Contains('-') ? "0" : " ",
            Align = flags.Contains('-') ? '<' : flags.Contains('0') && conversion is not ('s' or 'r' or 'a' or 'c') ? '=' : '>',
            Sign = flags.Contains('+') ? '+' : flags.Contains(' ') ? ' ' : '-',
            IsAlternate = flags.Contains('#'),
            Width = width,
            Precision = precision,
        };
        if (width < 0) specification = specification with { Width = -width, Align = '<', Fill = " " };
        WriteValue(named ?? NextValue(), conversion, specification);
    }

    private void WriteValue(Value value, char conversion, FormatSpecification specification)
    {
        switch (conversion)
        {
            case 's':
                specification.WriteText(value.ToText(_rendering), _builder, _rendering);
                break;
            case 'r' or 'a':
                MarkedBuilder representation = new(_rendering.Budget);
                value.Represent(representation, _rendering);
                specification.WriteText(representation.ToValue(), _builder, _rendering);
                break;
            case 'c':
                specification.WriteText(value is StringValue text ? text : new StringValue(Character(value)), _builder, _rendering);
                break;
            case 'd' or 'i' or 'u':
                specification.WriteNumber(new IntegerValue(Operators.AsInteger(value) ?? Truncated(value, conversion)), 'd', _builder);
                break;
            case 'x' or 'X' or 'o':
                specification.WriteNumber(new IntegerValue(Operators.AsInteger(value) ?? throw Mismatch(value, conversion)), conversion, _builder);
                break;
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                specification.WriteNumber(new FloatValue(Operators.AsFloat(value) ?? throw Mismatch(value, conversion)), conversion, _builder);
                break;
            default:
                throw new JinjaException($"unsupported format character '{conversion}'");
        }
    }

    private static BigInteger Truncated(Value value, char conversion) =>
        value is FloatValue { Number: var number } && double.IsFinite(number) ? new BigInteger(number) : throw Mismatch(value, conversion);

    private static JinjaException Mismatch(Value value, char conversion) => new($"%{conversion} format: a number is required, not {value.TypeName}");

    private static string Character(Value value) =>
        Operators.AsInteger(value) is { } code && code >= 0 && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF)
            ? char.ConvertFromUtf32((int)code)
            : throw new JinjaException("%c requires int or char");

    private Value NextValue()
    {
        IReadOnlyList<Value> values = _values is TupleValue tuple ? tuple.Values : [_values];
        return _used < values.Count ? values[_used++] : throw new JinjaException("not enough arguments for format string");
    }

    private int? ReadNumber()
    {
        if (Current == '*')
        {
            Take();
            return StringMethods.RequireInt(NextValue());
        }
        int start = _position;
        while (char.IsAsciiDigit(Current)) _position++;
        if (start == _position) return null;
        return int.TryParse(_format.Text.AsSpan(start, _position - start), CultureInfo.InvariantCulture, out int number) ? number : throw new JinjaException("width too big");
    }

    private char Current => _position < _format.Text.Length ? _format.Text[_position] : '\0';

    private char Take() => _position < _format.Text.Length ? _format.Text[_position++] : throw new JinjaException("incomplete format");
}
