using System.Collections.Frozen;
using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>The tests that stand after <c>is</c>.</summary>
internal static class Tests
{
    private delegate bool Body(Value value, Value?[] arguments, Rendering rendering);

    private static readonly FrozenDictionary<string, (Signature Signature, Body Body)> All = Table().ToFrozenDictionary(entry => entry.Signature.Name);

    /// <summary>Says why a test cannot be used; null if it can.</summary>
    public static string? ProblemWith(string name) => All.ContainsKey(name) ? null : $"no test named '{name}'";

    public static bool Exists(string name) => All.ContainsKey(name);

    public static bool Apply(string name, Value value, CallArguments arguments) => All.TryGetValue(name, out (Signature Signature, Body Body) test)
        ? test.Body(value, arguments.Bind(test.Signature), arguments.Rendering)
        : throw new JinjaException(ProblemWith(name)!);

    private static IEnumerable<(Signature Signature, Body Body)> Table() =>
    [
        (new("defined"), static (value, _, _) => value is not UndefinedValue),
        (new("undefined"), static (value, _, _) => value is UndefinedValue),
        (new("none"), static (value, _, _) => value is NoneValue),
        (new("boolean"), static (value, _, _) => value is BooleanValue),
        (new("true"), static (value, _, _) => value is BooleanValue { IsTrue: true }),
        (new("false"), static (value, _, _) => value is BooleanValue { IsTrue: false }),
        (new("integer"), static (value, _, _) => value is IntegerValue),
        (new("float"), static (value, _, _) => value is FloatValue),
        (new("number"), static (value, _, _) => value is IntegerValue or FloatValue or BooleanValue),
        (new("string"), static (value, _, _) => value is StringValue),
        (new("mapping"), static (value, _, _) => value is DictionaryValue),
        (new("sequence"), static (value, _, _) => value.IsSequence || value is UndefinedValue),
        (new("iterable"), static (value, _, rendering) => value.Items(rendering) is not null),
        (new("callable"), static (value, _, _) => value.IsCallable),
        (new("sameas", "other"), static (value, arguments, _) => IsSame(value, arguments[0]!)),
        (new("escaped"), static (value, _, _) => value is StringValue { IsMarkup: true }),
        (new("odd"), static (value, _, rendering) => IsRemainder(value, new IntegerValue(2), 1, rendering)),
        (new("even"), static (value, _, rendering) => IsRemainder(value, new IntegerValue(2), 0, rendering)),
        (new("divisibleby", "num"), static (value, arguments, rendering) => IsRemainder(value, arguments[0]!, 0, rendering)),
        (new("lower"), static (value, _, rendering) => StringMethods.IsCase(value.ToText(rendering), rendering, PythonText.IsLower).IsTrue),
        (new("upper"), static (value, _, rendering) => StringMethods.IsCase(value.ToText(rendering), rendering, PythonText.IsUpper).IsTrue),
        (new("filter"), static (value, _, rendering) => IsNamed(value, Filters.Exists, rendering)),
        (new("test"), static (value, _, rendering) => IsNamed(value, Exists, rendering)),
        (new("in", "seq"), static (value, arguments, rendering) => Operators.Contains(arguments[0]!, value, rendering)),
        .. Comparisons("==", "==", "eq", "equalto"),
        .. Comparisons("!=", "!=", "ne"),
        .. Comparisons(">", ">", "gt", "greaterthan"),
        .. Comparisons(">=", ">=", "ge"),
        .. Comparisons("<", "<", "lt", "lessthan"),
        .. Comparisons("<=", "<=", "le"),
    ];

    private static IEnumerable<(Signature Signature, Body Body)> Comparisons(string symbol, params IEnumerable<string> names) => names.Select(name =>
        (new Signature(name, "other"), new Body((value, arguments, rendering) => ComparisonExpression.Holds(value, symbol, arguments[0]!, rendering))));

    private static bool IsNamed(Value value, Func<string, bool> exists, Rendering rendering)
    {
        PythonEquality.RequireHashable(value, rendering);
        return value is StringValue name && exists(name.Text);
    }

    private static bool IsRemainder(Value value, Value divisor, BigInteger expected, Rendering rendering) =>
        Operators.AreEqual(Operators.Modulo(value, divisor, rendering), new IntegerValue(expected), rendering);

    /// <summary>Whether two values are one: None, True and False are the only ones of their kind, and small numbers and texts behave as if they were.</summary>
    private static bool IsSame(Value value, Value other) =>
        ReferenceEquals(value, other)
        || (value.GetType() == other.GetType() && value is IntegerValue or StringValue && PythonEquality.Instance.Equals(value, other));
}
