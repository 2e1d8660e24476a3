namespace Decart.Inference.Chat.Jinja;

/// <summary>An expression of a template.</summary>
internal abstract class Expression
{
    protected Expression(int position, params IEnumerable<Expression?> parts)
    {
        Position = position;
        Depth = 1 + parts.Select(part => part?.Depth ?? 0).DefaultIfEmpty().Max();
    }

    /// <summary>Where it stands in the template's text.</summary>
    public int Position { get; }

    /// <summary>How many expressions stand within each other.</summary>
    public int Depth { get; }

    public abstract Value Evaluate(Scope scope);

    /// <summary>What stands behind a dot: what the value can do goes before what it holds.</summary>
    public static Value GetAttribute(Value target, string name, Rendering rendering)
    {
        StringValue key = new(name);
        return target.Attribute(name, rendering) ?? target.Item(key, rendering) ?? UndefinedValue.In(target, key, rendering);
    }

    /// <summary>What stands in brackets: what the value holds goes before what it can do.</summary>
    public static Value GetItem(Value target, Value key, Rendering rendering) =>
        target.Item(key, rendering) ?? (key is StringValue name ? target.Attribute(name.Text, rendering) : null) ?? UndefinedValue.In(target, key, rendering);
}

internal sealed class ConstantExpression(int position, Value value) : Expression(position)
{
    public override Value Evaluate(Scope scope) => value;
}

internal sealed class NameExpression(int position, string name) : Expression(position)
{
    public string Name => name;

    public override Value Evaluate(Scope scope)
    {
        scope.Rendering.Step(Position);
        return scope.Get(name);
    }
}

internal sealed class ListExpression(int position, IReadOnlyList<Expression> items) : Expression(position, items)
{
    public override Value Evaluate(Scope scope)
    {
        scope.Rendering.Step(Position);
        Value[] values = new Value[items.Count];
        for (int i = 0; i < values.Length; i++) values[i] = items[i].Evaluate(scope);
        return new ListValue(values);
    }
}

internal sealed class TupleExpression(int position, IReadOnlyList<Expression> items) : Expression(position, items)
{
    public IReadOnlyList<Expression> Items => items;

    public override Value Evaluate(Scope scope)
    {
        scope.Rendering.Step(Position);
        Value[] values = new Value[items.Count];
        for (int i = 0; i < values.Length; i++) values[i] = items[i].Evaluate(scope);
        return new TupleValue(values);
    }
}

internal sealed class DictionaryExpression(int position, IReadOnlyList<(Expression Key, Expression Value)> entries)
    : Expression(position, entries.SelectMany(entry => new[] { entry.Key, entry.Value }))
{
    public override Value Evaluate(Scope scope)
    {
        scope.Rendering.Step(Position);
        OrderedDictionary<Value, Value> values = DictionaryValue.Create();
        foreach ((Expression key, Expression value) in entries)
        {
            Value name = key.Evaluate(scope);
            PythonEquality.RequireHashable(name, scope.Rendering);
            values[name] = value.Evaluate(scope);
        }
        return new DictionaryValue(values);
    }
}

internal sealed class AttributeExpression(int position, Expression target, string name) : Expression(position, target)
{
    public override Value Evaluate(Scope scope)
    {
        Value value = target.Evaluate(scope);
        scope.Rendering.Step(Position);
        return GetAttribute(value, name, scope.Rendering);
    }
}

internal sealed class ItemExpression(int position, Expression target, Expression key) : Expression(position, target, key)
{
    public override Value Evaluate(Scope scope)
    {
        Value value = target.Evaluate(scope);
        Value item = key.Evaluate(scope);
        scope.Rendering.Step(Position);
        return GetItem(value, item, scope.Rendering);
    }
}

internal sealed class SliceExpression(int position, Expression target, Expression? start, Expression? stop, Expression? step)
    : Expression(position, target, start, stop, step)
{
    public override Value Evaluate(Scope scope)
    {
        Value value = target.Evaluate(scope);
        (Value? first, Value? last, Value? stride) = (start?.Evaluate(scope), stop?.Evaluate(scope), step?.Evaluate(scope));
        scope.Rendering.Step(Position);
        return Slicing.Apply(value, first, last, stride, scope.Rendering);
    }
}

internal sealed class UnaryExpression(int position, Expression operand, Func<Value, Value> compute) : Expression(position, operand)
{
    public override Value Evaluate(Scope scope)
    {
        Value value = operand.Evaluate(scope);
        scope.Rendering.Step(Position);
        return compute(value);
    }
}

internal sealed class BinaryExpression(int position, Expression left, Expression right, Func<Value, Value, Rendering, Value> compute) : Expression(position, left, right)
{
    public override Value Evaluate(Scope scope)
    {
        Value first = left.Evaluate(scope);
        Value second = right.Evaluate(scope);
        scope.Rendering.Step(Position);
        return compute(first, second, scope.Rendering);
    }
}

/// <summary>The operator <c>~</c>: texts of whatever there is, one after the other.</summary>
internal sealed class ConcatenationExpression(int position, IReadOnlyList<Expression> items) : Expression(position, items)
{
    public override Value Evaluate(Scope scope)
    {
        MarkedBuilder builder = new(scope.Rendering.Budget);
        foreach (Expression item in items)
        {
            Value value = item.Evaluate(scope);
            scope.Rendering.Step(Position);
            value.Print(builder, scope.Rendering);
        }
        return builder.ToValue();
    }
}

internal sealed class AndExpression(int position, Expression left, Expression right) : Expression(position, left, right)
{
    public override Value Evaluate(Scope scope) => left.Evaluate(scope) is { IsTrue: false } value ? value : right.Evaluate(scope);
}

internal sealed class OrExpression(int position, Expression left, Expression right) : Expression(position, left, right)
{
    public override Value Evaluate(Scope scope) => left.Evaluate(scope) is { IsTrue: true } value ? value : right.Evaluate(scope);
}

/// <summary>Comparisons in a row, which all must hold: <c>0 &lt; x &lt;= 9</c>.</summary>
internal sealed class ComparisonExpression(int position, Expression first, IReadOnlyList<(string Symbol, Expression Operand)> comparisons)
    : Expression(position, [first, .. comparisons.Select(comparison => comparison.Operand)])
{
    public override Value Evaluate(Scope scope)
    {
        Value left = first.Evaluate(scope);
        foreach ((string symbol, Expression operand) in comparisons)
        {
            Value right = operand.Evaluate(scope);
            scope.Rendering.Step(Position);
            if (!Holds(left, symbol, right, scope.Rendering)) return BooleanValue.False;
            left = right;
        }
        return BooleanValue.True;
    }

    public static bool Holds(Value left, string symbol, Value right, Rendering rendering) => symbol switch
    {
        "==" => Operators.AreEqual(left, right, rendering),
        "!=" => !Operators.AreEqual(left, right, rendering),
        "in" => Operators.Contains(right, left, rendering),
        "not in" => !Operators.Contains(right, left, rendering),
        "<" => Operators.Compare(left, right, symbol, rendering) < 0,
        "<=" => Operators.Compare(left, right, symbol, rendering) <= 0,
        ">" => Operators.Compare(left, right, symbol, rendering) > 0,
        _ => Operators.Compare(left, right, symbol, rendering) >= 0,
    };
}

internal sealed class ConditionalExpression(int position, Expression condition, Expression then, Expression? otherwise) : Expression(position, condition, then, otherwise)
{
    public override Value Evaluate(Scope scope)
    {
        if (condition.Evaluate(scope).IsTrue) return then.Evaluate(scope);
        scope.Rendering.Step(Position);
        return otherwise?.Evaluate(scope) ?? new UndefinedValue("the inline if-expression evaluated to false and no else section was defined");
    }
}

/// <summary>The arguments of a call, a filter or a test.</summary>
internal sealed record ArgumentList(
    IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Keywords, Expression? MorePositional, Expression? MoreKeywords)
{
    public static ArgumentList Empty { get; } = new([], [], null, null);

    public IEnumerable<Expression?> Expressions => [.. Positional, .. Keywords.Select(keyword => keyword.Value), MorePositional, MoreKeywords];

    public CallArguments Evaluate(Scope scope)
    {
        List<Value> values = new(Positional.Count);
        foreach (Expression argument in Positional) values.Add(argument.Evaluate(scope));
        List<KeyValuePair<string, Value>> keywords = [];
        foreach ((string name, Expression value) in Keywords) keywords.Add(new(name, value.Evaluate(scope)));
        if (MorePositional is not null) values.AddRange(MorePositional.Evaluate(scope).Iterate(scope.Rendering));
        if (MoreKeywords is not null)
        {
            if (MoreKeywords.Evaluate(scope) is not DictionaryValue more) throw new JinjaException("the argument after ** must be a mapping");
            foreach ((Value key, Value value) in more.Entries) keywords.Add(new(StringMethods.RequireText(key, "**").Text, value));
        }
        return new CallArguments(scope.Rendering, values, keywords);
    }
}

internal sealed class CallExpression(int position, Expression callee, ArgumentList arguments) : Expression(position, arguments.Expressions.Append(callee))
{
    /// <param name="scope">The variables.</param>
    /// <param name="caller">The body of a <c>call</c> block.</param>
    public Value Evaluate(Scope scope, MacroValue? caller)
    {
        Value function = callee.Evaluate(scope);
        CallArguments values = arguments.Evaluate(scope);
        if (caller is not null) values = values with { Keywords = [.. values.Keywords, new("caller", caller)] };
        scope.Rendering.Step(Position);
        return function.Call(values);
    }

    public override Value Evaluate(Scope scope) => Evaluate(scope, caller: null);
}

/// <summary>A filter with its arguments.</summary>
internal sealed record FilterApplication(int Position, string Name, ArgumentList Arguments)
{
    public Value Apply(Value value, Scope scope)
    {
        CallArguments arguments = Arguments.Evaluate(scope);
        scope.Rendering.Step(Position);
        return Filters.Apply(Name, value, arguments);
    }
}

internal sealed class FilterExpression(Expression target, FilterApplication filter) : Expression(filter.Position, filter.Arguments.Expressions.Append(target))
{
    public override Value Evaluate(Scope scope) => filter.Apply(target.Evaluate(scope), scope);
}

internal sealed class TestExpression(int position, Expression target, string name, ArgumentList arguments) : Expression(position, arguments.Expressions.Append(target))
{
    public override Value Evaluate(Scope scope)
    {
        Value value = target.Evaluate(scope);
        CallArguments values = arguments.Evaluate(scope);
        scope.Rendering.Step(Position);
        return BooleanValue.Of(Tests.Apply(name, value, values));
    }
}
