using System.Collections.Frozen;
using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>The functions that every template can call.</summary>
internal static class Globals
{
    private static readonly Signature RaiseSignature = new("raise_exception", "message"), StrftimeSignature = new("strftime_now", "format"), JoinerSignature = new("joiner", "sep?");

    private static readonly FrozenDictionary<string, Value> Functions = new Dictionary<string, Value>
    {
        ["range"] = new FunctionValue("range", Range),
        ["dict"] = new FunctionValue("dict", arguments => new DictionaryValue(Dictionary("dict", arguments))),
        ["namespace"] = new FunctionValue("namespace", arguments => new NamespaceValue(Dictionary("namespace", arguments))),
        ["cycler"] = new FunctionValue("cycler", arguments => new CyclerValue(arguments.Positional)),
        ["joiner"] = new FunctionValue("joiner", Joiner),
        ["raise_exception"] = new FunctionValue("raise_exception", Raise),
        ["strftime_now"] = new FunctionValue("strftime_now", StrftimeNow),
        ["lipsum"] = new FunctionValue("lipsum", _ => throw new JinjaException("'lipsum' is not supported: its text would differ from one rendering to the next")),
    }.ToFrozenDictionary();

    public static Value? Find(string name) => Functions.GetValueOrDefault(name);

    private static RangeValue Range(CallArguments arguments)
    {
        if (arguments.Positional.Count is 0 or > 3 || arguments.Keywords.Count > 0) throw new JinjaException($"range expected 1 to 3 arguments, got {arguments.Positional.Count}");
        BigInteger[] numbers = [.. arguments.Positional.Select(Integer)];
        (BigInteger start, BigInteger stop) = numbers.Length == 1 ? (0, numbers[0]) : (numbers[0], numbers[1]);
        BigInteger step = numbers.Length == 3 ? numbers[2] : 1;
        if (step.IsZero) throw new JinjaException("range() arg 3 must not be zero");
        BigInteger count = step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
        if (count > RenderBudget.LongestRange)
            throw new JinjaException($"the range is too big: at most {RenderBudget.LongestRange} items are allowed", ChatTemplateError.LimitExceeded);
        return new RangeValue(start, stop, step, count < 0 ? 0 : (int)count);
    }

    private static BigInteger Integer(Value value)
    {
        value.RequireDefined();
        return Operators.AsInteger(value) ?? throw new JinjaException($"'{value.TypeName}' object cannot be interpreted as an integer");
    }

    /// <summary>The entries of a mapping or of pairs, and those given by name.</summary>
    private static OrderedDictionary<Value, Value> Dictionary(string name, CallArguments arguments)
    {
        if (arguments.Positional.Count > 1) throw new JinjaException($"{name} expected at most 1 argument, got {arguments.Positional.Count}");
        OrderedDictionary<Value, Value> entries = DictionaryValue.Create();
        foreach (Value source in arguments.Positional)
        {
            IEnumerable<Value> pairs = source is DictionaryValue dictionary ? dictionary.Pairs() : source.Iterate(arguments.Rendering);
            foreach (Value pair in pairs)
            {
                List<Value> items = pair.ToList(arguments.Rendering);
                if (items.Count != 2) throw new JinjaException("dictionary update sequence elements must have 2 items");
                PythonEquality.RequireHashable(items[0], arguments.Rendering);
                entries[items[0]] = items[1];
            }
        }
        foreach ((string key, Value value) in arguments.Keywords) entries[new StringValue(key)] = value;
        return entries;
    }

    private static FunctionValue Joiner(CallArguments arguments)
    {
        Value separator = arguments.Bind(JoinerSignature)[0] ?? new StringValue(", ");
        bool used = false;
        return new FunctionValue("joiner", _ =>
        {
            Value result = used ? separator : StringValue.Empty;
            used = true;
            return result;
        });
    }

    private static Value Raise(CallArguments arguments) =>
        throw new JinjaException(arguments.Bind(RaiseSignature)[0]!.ToText(arguments.Rendering).Text, ChatTemplateError.Refused);

    private static StringValue StrftimeNow(CallArguments arguments)
    {
        string format = StringMethods.RequireText(arguments.Bind(StrftimeSignature)[0]!, "strftime_now").Text;
        return new StringValue(Strftime.Format(arguments.Rendering.Clock.GetLocalNow(), format));
    }

    /// <summary>Gives its items in turn.</summary>
    private sealed class CyclerValue(IReadOnlyList<Value> items) : Value
    {
        private readonly IReadOnlyList<Value> _items = items.Count > 0 ? items : throw new JinjaException("at least one item has to be provided");
        private int _position;

        public override string TypeName => "Cycler";

        public override Value? Attribute(string name, Rendering rendering) => name switch
        {
            "current" => _items[_position],
            "next" => new FunctionValue(name, _ => Next()),
            "reset" => new FunctionValue(name, _ => Reset()),
            _ => null,
        };

        private Value Next()
        {
            Value current = _items[_position];
            _position = (_position + 1) % _items.Count;
            return current;
        }

        private NoneValue Reset()
        {
            _position = 0;
            return NoneValue.Instance;
        }
    }
}
