using System.Globalization;
using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>Filters that look up attributes of items, or apply another filter or a test to each.</summary>
internal static class Selection
{
    private static readonly Signature ByAttribute = new("map", "attribute", "default?");

    /// <summary>Looks up a path of attributes and indexes: <c>function.name</c>, <c>0.text</c>.</summary>
    public static Func<Value, Value> Attribute(Value? path, Rendering rendering, Value? missing = null)
    {
        if (path is null or NoneValue) return value => value;
        Value[] keys = path is StringValue text ? [.. text.Text.Split('.').Select(Key)] : [path];
        return value =>
        {
            foreach (Value key in keys)
            {
                value = Expression.GetItem(value, key, rendering);
                if (value is UndefinedValue && missing is not (null or NoneValue)) value = missing;
            }
            return value;
        };
    }

    /// <summary>A text in lower case, other values as they are: what sorting without regard to case compares.</summary>
    public static Value IgnoreCase(Value value, Rendering rendering) => value is StringValue text ? StringMethods.Lower(text, rendering) : value;

    public static Value Map(Value value, CallArguments arguments)
    {
        Rendering rendering = arguments.Rendering;
        return new IteratorValue(Mapped());

        IEnumerable<Value> Mapped()
        {
            if (!value.IsTrue) yield break;
            Func<Value, Value> map = Mapping(arguments);
            foreach (Value item in value.Iterate(rendering)) yield return map(item);
        }
    }

    public static Value Select(Value value, CallArguments arguments, bool byAttribute, bool chosen)
    {
        Rendering rendering = arguments.Rendering;
        return new IteratorValue(Selected());

        IEnumerable<Value> Selected()
        {
            if (!value.IsTrue) yield break;
            Func<Value, bool> test = Testing(arguments, byAttribute);
            foreach (Value item in value.Iterate(rendering))
            {
                if (test(item) == chosen) yield return item;
            }
        }
    }

    private static Func<Value, Value> Mapping(CallArguments arguments)
    {
        if (arguments.Positional.Count == 0 && arguments.Keyword("attribute") is not null)
        {
            Value?[] values = arguments.Bind(ByAttribute);
            return Attribute(values[0], arguments.Rendering, values[1]);
        }
        if (arguments.Positional.Count == 0) throw new JinjaException("map requires a filter argument");
        string name = StringMethods.RequireText(arguments.Positional[0], "map").Text;
        CallArguments rest = arguments with { Positional = [.. arguments.Positional.Skip(1)] };
        return value => Filters.Apply(name, value, rest);
    }

    private static Func<Value, bool> Testing(CallArguments arguments, bool byAttribute)
    {
        int used = byAttribute ? 1 : 0;
        if (arguments.Positional.Count < used) throw new JinjaException("missing parameter for attribute name");
        Func<Value, Value> attribute = Attribute(byAttribute ? arguments.Positional[0] : null, arguments.Rendering);
        if (arguments.Positional.Count == used) return value => attribute(value).IsTrue;
        string name = StringMethods.RequireText(arguments.Positional[used], "select").Text;
        CallArguments rest = arguments with { Positional = [.. arguments.Positional.Skip(used + 1)] };
        return value => Tests.Apply(name, attribute(value), rest);
    }

    private static Value Key(string part) =>
        part.Length > 0 && part.All(char.IsAsciiDigit) ? new IntegerValue(BigInteger.Parse(part, CultureInfo.InvariantCulture)) : new StringValue(part);
}
