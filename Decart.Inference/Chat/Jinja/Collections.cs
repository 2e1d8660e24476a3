using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>A list, which no template can change.</summary>
internal sealed class ListValue(IReadOnlyList<Value> values) : Value
{
    public override string TypeName => "list";

    public IReadOnlyList<Value> Values { get; } = values;

    public override bool IsTrue => Values.Count > 0;

    public override bool IsSequence => true;

    public override int? Length => Values.Count;

    public override IEnumerable<Value> Items(Rendering rendering) => Values;

    public override Value? Item(Value key, Rendering rendering) => Slicing.IndexOf(key, Values.Count) is { } index ? Values[index] : null;

    public override Value? Attribute(string name, Rendering rendering) => name switch
    {
        "append" or "clear" or "extend" or "insert" or "pop" or "remove" or "reverse" or "sort" => Sandbox.Refuse(this, name),
        "copy" => new FunctionValue(name, _ => this),
        _ => Sequences.Attribute(Values, name),
    };

    public override void Represent(MarkedBuilder builder, Rendering rendering)
    {
        builder.Append("[");
        Sequences.Represent(Values, builder, rendering);
        builder.Append("]");
    }
}

/// <summary>A tuple.</summary>
/// <param name="values">Its items.</param>
/// <param name="names">Names that its first items can also be asked by.</param>
internal sealed class TupleValue(IReadOnlyList<Value> values, params string[] names) : Value
{
    public override string TypeName => "tuple";

    public IReadOnlyList<Value> Values { get; } = values;

    public override bool IsTrue => Values.Count > 0;

    public override bool IsSequence => true;

    public override int? Length => Values.Count;

    public override IEnumerable<Value> Items(Rendering rendering) => Values;

    public override Value? Item(Value key, Rendering rendering) => Slicing.IndexOf(key, Values.Count) is { } index ? Values[index] : null;

    public override Value? Attribute(string name, Rendering rendering) =>
        Array.IndexOf(names, name) is >= 0 and var index ? Values[index] : Sequences.Attribute(Values, name);

    public override void Represent(MarkedBuilder builder, Rendering rendering)
    {
        builder.Append("(");
        Sequences.Represent(Values, builder, rendering);
        builder.Append(Values.Count == 1 ? ",)" : ")");
    }
}

/// <summary>A dictionary, which no template can change. Keys keep the order in which they were added.</summary>
internal sealed class DictionaryValue(OrderedDictionary<Value, Value> entries) : Value
{
    private static readonly Signature GetSignature = new("get", "key", "default?");

    public override string TypeName => "dict";

    public OrderedDictionary<Value, Value> Entries { get; } = entries;

    public override bool IsTrue => Entries.Count > 0;

    public override bool IsSequence => true;

    public override int? Length => Entries.Count;

    /// <summary>A dictionary without entries, which compares keys as Python does.</summary>
    public static OrderedDictionary<Value, Value> Create() => new(PythonEquality.Instance);

    public override IEnumerable<Value> Items(Rendering rendering) => Entries.Keys;

    public override Value? Item(Value key, Rendering rendering)
    {
        if (!PythonEquality.IsHashable(key)) return null;
        PythonEquality.RequireHashable(key, rendering);
        return Entries.TryGetValue(key, out Value? value) ? value : null;
    }

    public override Value? Attribute(string name, Rendering rendering) => name switch
    {
        "clear" or "pop" or "popitem" or "setdefault" or "update" => Sandbox.Refuse(this, name),
        "get" => new FunctionValue(name, Get),
        "items" => new FunctionValue(name, _ => new DictionaryView("dict_items", Entries.Count, Pairs)),
        "keys" => new FunctionValue(name, _ => new DictionaryView("dict_keys", Entries.Count, () => Entries.Keys)),
        "values" => new FunctionValue(name, _ => new DictionaryView("dict_values", Entries.Count, () => Entries.Values)),
        "copy" => new FunctionValue(name, _ => this),
        _ => null,
    };

    /// <summary>Its keys with their values, as tuples.</summary>
    public IEnumerable<Value> Pairs() => Entries.Select(entry => new TupleValue([entry.Key, entry.Value]));

    public override void Represent(MarkedBuilder builder, Rendering rendering)
    {
        using RenderBudget.Level level = rendering.Budget.Enter();
        builder.Append("{");
        bool isFirst = true;
        foreach ((Value key, Value value) in Entries)
        {
            rendering.Budget.Step();
            if (!isFirst) builder.Append(", ");
            isFirst = false;
            key.Represent(builder, rendering);
            builder.Append(": ");
            value.Represent(builder, rendering);
        }
        builder.Append("}");
    }

    private Value Get(CallArguments arguments)
    {
        Value?[] values = arguments.Bind(GetSignature);
        PythonEquality.RequireHashable(values[0]!, arguments.Rendering);
        return Entries.TryGetValue(values[0]!, out Value? found) ? found : values[1] ?? NoneValue.Instance;
    }
}

/// <summary>The keys, values or pairs of a dictionary.</summary>
internal sealed class DictionaryView(string typeName, int count, Func<IEnumerable<Value>> items) : Value
{
    public override string TypeName => typeName;

    public override bool IsTrue => count > 0;

    public override int? Length => count;

    public override IEnumerable<Value> Items(Rendering rendering) => items();

    public override void Represent(MarkedBuilder builder, Rendering rendering)
    {
        builder.Append($"{typeName}(");
        new ListValue([.. items()]).Represent(builder, rendering);
        builder.Append(")");
    }
}

/// <summary>The numbers from a start to before a stop.</summary>
internal sealed class RangeValue(BigInteger start, BigInteger stop, BigInteger step, int count) : Value
{
    public override string TypeName => "range";

    public override bool IsTrue => count > 0;

    public override bool IsSequence => true;

    public override int? Length => count;

    public override IEnumerable<Value> Items(Rendering rendering)
    {
        for (int i = 0; i < count; i++) yield return At(i);
    }

    public override Value? Item(Value key, Rendering rendering) => Slicing.IndexOf(key, count) is { } index ? At(index) : null;

    public RangeValue Slice(int first, int length, int stride) => new(start + (step * first), start + (step * (first + (stride * length))), step * stride, length);

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append(step.IsOne ? $"range({start}, {stop})" : $"range({start}, {stop}, {step})");

    private IntegerValue At(int index) => new(start + (step * index));
}

/// <summary>Items that can be visited once, as they are asked for: what map, select and other filters give.</summary>
internal sealed class IteratorValue(IEnumerable<Value> items, string typeName = "generator") : Value
{
    private readonly IEnumerator<Value> _items = items.GetEnumerator();

    public override string TypeName => typeName;

    public override IEnumerable<Value> Items(Rendering rendering)
    {
        while (_items.MoveNext()) yield return _items.Current;
    }

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append($"<{typeName} object>");
}

/// <summary>What lists and tuples have in common.</summary>
internal static class Sequences
{
    public static void Represent(IReadOnlyList<Value> values, MarkedBuilder builder, Rendering rendering)
    {
        using RenderBudget.Level level = rendering.Budget.Enter();
        for (int i = 0; i < values.Count; i++)
        {
            rendering.Budget.Step();
            if (i > 0) builder.Append(", ");
            values[i].Represent(builder, rendering);
        }
    }

    public static Value? Attribute(IReadOnlyList<Value> values, string name) => name switch
    {
        "count" => new FunctionValue(name, arguments => new IntegerValue(values.Count(value => Operators.AreEqual(value, arguments.Only("count"), arguments.Rendering)))),
        "index" => new FunctionValue(name, arguments => IndexOf(values, arguments.Only("index"), arguments.Rendering)),
        _ => null,
    };

    private static IntegerValue IndexOf(IReadOnlyList<Value> values, Value sought, Rendering rendering)
    {
        for (int i = 0; i < values.Count; i++)
        {
            if (Operators.AreEqual(values[i], sought, rendering)) return new IntegerValue(i);
        }
        throw new JinjaException("the value is not in the list");
    }
}

/// <summary>What templates may not do.</summary>
internal static class Sandbox
{
    /// <summary>Methods that would change a value are as if they were not there; to use one stops the template.</summary>
    public static UndefinedValue Refuse(Value value, string name) => new($"access to attribute '{name}' of '{value.TypeName}' object is unsafe");
}

/// <summary>Equality and hashes of the values that can be keys, as Python has them: 1, 1.0 and True are the same key.</summary>
internal sealed class PythonEquality : IEqualityComparer<Value>
{
    private const int LongestKey = 16;

    public static PythonEquality Instance { get; } = new();

    /// <summary>Whether a value can be a key. Tuples can where they are short and hold no tuples, so that a key costs little.</summary>
    public static bool IsHashable(Value value) => value switch
    {
        ListValue or DictionaryValue => false,
        TupleValue tuple => tuple.Values.Count <= LongestKey && tuple.Values.All(item => item is not TupleValue && IsHashable(item)),
        _ => true,
    };

    public static void RequireHashable(Value value, Rendering rendering)
    {
        if (!IsHashable(value)) throw new JinjaException($"unhashable type: '{value.TypeName}'");
        if (value is StringValue text) rendering.Budget.Step(text.Text.Length / RenderBudget.CharactersPerStep);
    }

    public bool Equals(Value? x, Value? y) => Operators.AreEqual(x!, y!, rendering: null);

    public int GetHashCode([DisallowNull] Value obj) => obj switch
    {
        StringValue text => text.Text.GetHashCode(StringComparison.Ordinal),
        BooleanValue boolean => (boolean.IsTrue ? BigInteger.One : BigInteger.Zero).GetHashCode(),
        IntegerValue integer => integer.Number.GetHashCode(),
        FloatValue number => double.IsInteger(number.Number) ? new BigInteger(number.Number).GetHashCode() : number.Number.GetHashCode(),
        TupleValue tuple => tuple.Values.Aggregate(17, (hash, value) => HashCode.Combine(hash, GetHashCode(value))),
        UndefinedValue => 1,
        _ => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(obj),
    };
}
