using System.Numerics;

namespace Decart.Inference.Chat.Jinja;

/// <summary>The operators of expressions, as Python computes them.</summary>
internal static class Operators
{
    private const int LongestRepetition = RenderBudget.LongestText;

    /// <summary>An integer, or a Boolean as 0 or 1; null for other values.</summary>
    public static BigInteger? AsInteger(Value value) => value switch
    {
        IntegerValue integer => integer.Number,
        BooleanValue boolean => boolean.IsTrue ? BigInteger.One : BigInteger.Zero,
        _ => null,
    };

    /// <summary>A number of any kind; null for other values.</summary>
    public static double? AsFloat(Value value) => value is FloatValue number ? number.Number : AsInteger(value) is { } integer ? ToDouble(integer) : null;

    /// <summary>Whether two values are equal. Without a rendering, only what can be a key is compared.</summary>
    public static bool AreEqual(Value left, Value right, Rendering? rendering)
    {
        if (ReferenceEquals(left, right)) return left is not FloatValue { Number: double.NaN };
        switch (left, right)
        {
            case (StringValue first, StringValue second):
                if (first.Text.Length == second.Text.Length) rendering?.Budget.Step(first.Text.Length / RenderBudget.CharactersPerStep);
                return first.Text == second.Text;
            case (UndefinedValue, UndefinedValue):
                return true;
            case (ListValue first, ListValue second):
                return AreEqual(first.Values, second.Values, rendering);
            case (TupleValue first, TupleValue second):
                return AreEqual(first.Values, second.Values, rendering);
            case (DictionaryValue first, DictionaryValue second):
                return AreEqual(first, second, rendering);
        }
        if (AsInteger(left) is { } integer && AsInteger(right) is { } other) return integer == other;
        return AsFloat(left) is { } number && AsFloat(right) is { } another && number == another
            && (left is FloatValue == right is FloatValue || CompareNumbers(left, right) == 0);
    }

    /// <summary>Whether left is below (negative), equal to (0) or above right; null where one is not a number.</summary>
    public static int? Compare(Value left, Value right, string symbol, Rendering rendering)
    {
        left.RequireDefined();
        right.RequireDefined();
        switch (left, right)
        {
            case (StringValue first, StringValue second):
                rendering.Budget.Step(Math.Min(first.Text.Length, second.Text.Length) / RenderBudget.CharactersPerStep);
                return PythonText.Compare(first.Text, second.Text);
            case (ListValue first, ListValue second):
                return Compare(first.Values, second.Values, symbol, rendering);
            case (TupleValue first, TupleValue second):
                return Compare(first.Values, second.Values, symbol, rendering);
        }
        if (AsFloat(left) is null || AsFloat(right) is null)
            throw new JinjaException($"'{symbol}' not supported between instances of '{left.TypeName}' and '{right.TypeName}'");
        return CompareNumbers(left, right);
    }

    /// <summary>Whether an item is in a text, list, dictionary or whatever else has items.</summary>
    public static bool Contains(Value container, Value item, Rendering rendering)
    {
        switch (container)
        {
            case StringValue text:
                if (item is not StringValue part) throw new JinjaException($"'in <string>' requires string as left operand, not {item.TypeName}");
                rendering.Budget.Step(text.Text.Length / RenderBudget.CharactersPerStep);
                return text.Text.Contains(part.Text, StringComparison.Ordinal);
            case DictionaryValue dictionary:
                PythonEquality.RequireHashable(item, rendering);
                return dictionary.Entries.ContainsKey(item);
            case UndefinedValue:
                return false;
            default:
                if (container.Items(rendering) is null) throw new JinjaException($"argument of type '{container.TypeName}' is not iterable");
                foreach (Value value in container.Iterate(rendering))
                {
                    if (AreEqual(value, item, rendering)) return true;
                }
                return false;
        }
    }

    public static Value Add(Value left, Value right, Rendering rendering)
    {
        RequireDefined(left, right);
        switch (left, right)
        {
            case (StringValue first, StringValue second):
                return Concatenate(first, second, rendering);
            case (ListValue first, ListValue second):
                rendering.Budget.Step(first.Values.Count + second.Values.Count);
                return new ListValue([.. first.Values, .. second.Values]);
            case (TupleValue first, TupleValue second):
                rendering.Budget.Step(first.Values.Count + second.Values.Count);
                return new TupleValue([.. first.Values, .. second.Values]);
            case (StringValue, _):
                throw new JinjaException($"can only concatenate str (not \"{right.TypeName}\") to str");
            case (ListValue or TupleValue, _):
                throw new JinjaException($"can only concatenate {left.TypeName} (not \"{right.TypeName}\") to {left.TypeName}");
        }
        return Integers(left, right, out BigInteger integer, out BigInteger other) ? new IntegerValue(integer + other) : Floats(left, right, "+", (number, another) => number + another);
    }

    public static Value Subtract(Value left, Value right)
    {
        RequireDefined(left, right);
        return Integers(left, right, out BigInteger integer, out BigInteger other) ? new IntegerValue(integer - other) : Floats(left, right, "-", (number, another) => number - another);
    }

    public static Value Multiply(Value left, Value right, Rendering rendering)
    {
        RequireDefined(left, right);
        if (Integers(left, right, out BigInteger integer, out BigInteger other))
        {
            RequireSmall(integer.GetBitLength() + other.GetBitLength());
            return new IntegerValue(integer * other);
        }
        if (left is StringValue or ListValue or TupleValue && AsInteger(right) is { } times) return Repeat(left, times, rendering);
        if (right is StringValue or ListValue or TupleValue && AsInteger(left) is { } count) return Repeat(right, count, rendering);
        return Floats(left, right, "*", (number, another) => number * another);
    }

    public static Value Divide(Value left, Value right)
    {
        RequireDefined(left, right);
        return Floats(left, right, "/", (number, another) => another == 0 ? throw new JinjaException("division by zero") : number / another);
    }

    public static Value FloorDivide(Value left, Value right)
    {
        RequireDefined(left, right);
        if (!Integers(left, right, out BigInteger integer, out BigInteger other))
            return Floats(left, right, "//", (number, another) => another == 0 ? throw new JinjaException("float floor division by zero") : Math.Floor(number / another));
        if (other.IsZero) throw new JinjaException("integer division or modulo by zero");
        BigInteger quotient = BigInteger.DivRem(integer, other, out BigInteger remainder);
        return new IntegerValue(remainder.IsZero || (remainder < 0) == (other < 0) ? quotient : quotient - 1);
    }

    public static Value Modulo(Value left, Value right, Rendering rendering)
    {
        if (left is StringValue format) return PercentFormat.Apply(format, right, rendering);
        RequireDefined(left, right);
        if (Integers(left, right, out BigInteger integer, out BigInteger other))
        {
            if (other.IsZero) throw new JinjaException("integer modulo by zero");
            BigInteger remainder = BigInteger.Remainder(integer, other);
            return new IntegerValue(remainder.IsZero || (remainder < 0) == (other < 0) ? remainder : remainder + other);
        }
        return Floats(left, right, "%", static (number, another) =>
        {
            if (another == 0) throw new JinjaException("float modulo");
            double remainder = number % another;
            return remainder != 0 && (remainder < 0) != (another < 0) ? remainder + another : remainder;
        });
    }

    public static Value Power(Value left, Value right)
    {
        RequireDefined(left, right);
        if (Integers(left, right, out BigInteger integer, out BigInteger exponent) && exponent >= 0)
        {
            if (BigInteger.Abs(integer) <= 1) return new IntegerValue(integer.IsZero && exponent > 0 ? 0 : exponent.IsEven ? 1 : integer);
            if (exponent > RenderBudget.LargestInteger) throw IntegerValue.TooLarge();
            RequireSmall(((long)integer.GetBitLength() - 1) * (long)exponent);
            return new IntegerValue(BigInteger.Pow(integer, (int)exponent));
        }
        return Floats(left, right, "** or pow()", static (number, power) => number switch
        {
            0 when power < 0 => throw new JinjaException("0.0 cannot be raised to a negative power"),
            < 0 when !double.IsInteger(power) => throw new JinjaException("complex numbers are not supported"),
            _ => Math.Pow(number, power),
        });
    }

    public static Value Negate(Value value)
    {
        value.RequireDefined();
        return AsInteger(value) is { } integer ? new IntegerValue(-integer)
            : value is FloatValue number ? new FloatValue(-number.Number)
            : throw new JinjaException($"bad operand type for unary -: '{value.TypeName}'");
    }

    public static Value Plus(Value value)
    {
        value.RequireDefined();
        return AsInteger(value) is { } integer ? new IntegerValue(integer)
            : value is FloatValue ? value
            : throw new JinjaException($"bad operand type for unary +: '{value.TypeName}'");
    }

    /// <summary>Two texts, one after the other; next to a text that is safe in HTML the other one is escaped.</summary>
    private static StringValue Concatenate(StringValue left, StringValue right, Rendering rendering)
    {
        bool isMarkup = left.IsMarkup || right.IsMarkup;
        if (isMarkup) (left, right) = (Markup.Escape(left, rendering), Markup.Escape(right, rendering));
        MarkedBuilder builder = new(rendering.Budget);
        builder.Append(left);
        builder.Append(right);
        return isMarkup ? builder.ToValue().AsMarkup() : builder.ToValue();
    }

    private static Value Repeat(Value value, BigInteger times, Rendering rendering)
    {
        if (times > LongestRepetition) throw new JinjaException("the template makes texts that are too long", ChatTemplateError.LimitExceeded);
        int count = times < 0 ? 0 : (int)times;
        if (value is StringValue text)
        {
            MarkedBuilder builder = new(rendering.Budget);
            builder.AppendRepeated(text, count);
            return builder.ToValue();
        }
        IReadOnlyList<Value> values = value is ListValue list ? list.Values : ((TupleValue)value).Values;
        rendering.Budget.Step((long)count * values.Count);
        Value[] repeated = [.. Enumerable.Repeat(values, values.Count == 0 ? 0 : count).SelectMany(items => items)];
        return value is ListValue ? new ListValue(repeated) : new TupleValue(repeated);
    }

    private static bool Integers(Value left, Value right, out BigInteger integer, out BigInteger other)
    {
        (BigInteger? first, BigInteger? second) = (AsInteger(left), AsInteger(right));
        (integer, other) = (first ?? default, second ?? default);
        return first is not null && second is not null;
    }

    private static FloatValue Floats(Value left, Value right, string symbol, Func<double, double, double> compute) =>
        AsFloat(left) is { } number && AsFloat(right) is { } another
            ? new FloatValue(compute(number, another))
            : throw new JinjaException($"unsupported operand type(s) for {symbol}: '{left.TypeName}' and '{right.TypeName}'");

    private static void RequireSmall(long bits)
    {
        if (bits > RenderBudget.LargestInteger) throw IntegerValue.TooLarge();
    }

    private static double ToDouble(BigInteger integer)
    {
        double number = (double)integer;
        return double.IsFinite(number) ? number : throw new JinjaException("int too large to convert to float");
    }

    private static void RequireDefined(Value left, Value right)
    {
        left.RequireDefined();
        right.RequireDefined();
    }

    private static int? CompareNumbers(Value left, Value right)
    {
        if (AsInteger(left) is { } integer && AsInteger(right) is { } other) return integer.CompareTo(other);
        (double number, double another) = (AsFloat(left)!.Value, AsFloat(right)!.Value);
        if (double.IsNaN(number) || double.IsNaN(another)) return null;
        if (number != another || double.IsInfinity(number)) return number.CompareTo(another);
        // Equal as doubles: an integer may have lost digits.
        return (AsInteger(left) ?? new BigInteger(number)).CompareTo(AsInteger(right) ?? new BigInteger(another));
    }

    private static bool AreEqual(IReadOnlyList<Value> left, IReadOnlyList<Value> right, Rendering? rendering)
    {
        if (left.Count != right.Count) return false;
        using RenderBudget.Level? level = rendering?.Budget.Enter();
        for (int i = 0; i < left.Count; i++)
        {
            rendering?.Budget.Step();
            if (!AreEqual(left[i], right[i], rendering)) return false;
        }
        return true;
    }

    private static bool AreEqual(DictionaryValue left, DictionaryValue right, Rendering? rendering)
    {
        if (left.Entries.Count != right.Entries.Count) return false;
        using RenderBudget.Level? level = rendering?.Budget.Enter();
        foreach ((Value key, Value value) in left.Entries)
        {
            rendering?.Budget.Step();
            if (!right.Entries.TryGetValue(key, out Value? other) || !AreEqual(value, other, rendering)) return false;
        }
        return true;
    }

    private static int? Compare(IReadOnlyList<Value> left, IReadOnlyList<Value> right, string symbol, Rendering rendering)
    {
        using RenderBudget.Level level = rendering.Budget.Enter();
        for (int i = 0; i < left.Count && i < right.Count; i++)
        {
            rendering.Budget.Step();
            if (!AreEqual(left[i], right[i], rendering)) return Compare(left[i], right[i], symbol, rendering);
        }
        return left.Count.CompareTo(right.Count);
    }
}
