namespace Decart.Inference.Chat.Jinja;

/// <summary>How the statements of a loop go on.</summary>
internal enum Flow
{
    Next,
    Break,
    Continue,
}

/// <summary>A statement of a template.</summary>
internal abstract class Statement
{
    public abstract Flow Execute(Scope scope, MarkedBuilder output);
}

/// <summary>Statements in a row.</summary>
internal sealed class Block(IReadOnlyList<Statement> statements) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        foreach (Statement statement in statements)
        {
            if (statement.Execute(scope, output) is not Flow.Next and var flow) return flow;
        }
        return Flow.Next;
    }

    /// <summary>The text that the statements write, with variables of their own.</summary>
    public StringValue ToText(Scope scope)
    {
        MarkedBuilder builder = new(scope.Rendering.Budget);
        Execute(scope.Inner(), builder);
        return builder.ToValue();
    }
}

internal sealed class TextStatement(string text) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        output.Append(text);
        return Flow.Next;
    }
}

internal sealed class PrintStatement(Expression expression) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        Value value = expression.Evaluate(scope);
        scope.Rendering.Step(expression.Position);
        value.Print(output, scope.Rendering);
        return Flow.Next;
    }
}

internal sealed class SetStatement(AssignmentTarget target, Expression value) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        target.Assign(value.Evaluate(scope), scope);
        return Flow.Next;
    }
}

/// <summary>A <c>set</c> block, whose value is the text within it.</summary>
internal sealed class SetBlockStatement(AssignmentTarget target, IReadOnlyList<FilterApplication> filters, Block body) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        target.Assign(filters.Aggregate((Value)body.ToText(scope), (value, filter) => filter.Apply(value, scope)), scope);
        return Flow.Next;
    }
}

internal sealed class FilterStatement(IReadOnlyList<FilterApplication> filters, Block body) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        filters.Aggregate((Value)body.ToText(scope), (value, filter) => filter.Apply(value, scope)).Print(output, scope.Rendering);
        return Flow.Next;
    }
}

internal sealed class IfStatement(IReadOnlyList<(Expression Condition, Block Body)> branches, Block? otherwise) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        foreach ((Expression condition, Block body) in branches)
        {
            if (condition.Evaluate(scope).IsTrue) return body.Execute(scope, output);
        }
        return otherwise?.Execute(scope, output) ?? Flow.Next;
    }
}

/// <summary>Variables for a part of the template.</summary>
internal sealed class WithStatement(IReadOnlyList<(AssignmentTarget Target, Expression Value)> assignments, Block body) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        Scope inner = scope.Inner();
        foreach ((AssignmentTarget target, Expression value) in assignments) target.Assign(value.Evaluate(scope), inner);
        return body.Execute(inner, output);
    }
}

internal sealed class FlowStatement(int position, Flow flow) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        scope.Rendering.Step(position);
        return flow;
    }
}

/// <summary>What a template's <c>autoescape</c> says; only what is the case already is supported.</summary>
internal sealed class AutoescapeStatement(Expression isOn, Block body) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        if (isOn.Evaluate(scope).IsTrue) throw new JinjaException("automatic escaping for HTML is not supported");
        return body.Execute(scope.Inner(), output);
    }
}

/// <summary>Where a value is stored.</summary>
internal abstract class AssignmentTarget(int position)
{
    protected int Position => position;

    public abstract void Assign(Value value, Scope scope);

    /// <summary>A value as it is after its items were stored here: those of several targets make a tuple.</summary>
    public virtual Value Repack(Value value, Rendering rendering) => value;
}

internal sealed class NameTarget(int position, string name) : AssignmentTarget(position)
{
    public string Name => name;

    public override void Assign(Value value, Scope scope) => scope.Set(name, value);
}

/// <summary>A member of a namespace.</summary>
internal sealed class MemberTarget(int position, string name, string member) : AssignmentTarget(position)
{
    public override void Assign(Value value, Scope scope)
    {
        scope.Rendering.Step(Position);
        if (scope.Get(name) is not NamespaceValue target) throw new JinjaException("cannot assign attribute on non-namespace object");
        target.Assign(member, value);
    }
}

internal sealed class TupleTarget(int position, IReadOnlyList<AssignmentTarget> targets) : AssignmentTarget(position)
{
    public override void Assign(Value value, Scope scope)
    {
        scope.Rendering.Step(Position);
        if (value is not UndefinedValue && value.Items(scope.Rendering) is null) throw new JinjaException($"cannot unpack non-iterable {value.TypeName} object");
        int index = 0;
        foreach (Value item in value.Iterate(scope.Rendering))
        {
            if (index == targets.Count) throw new JinjaException($"too many values to unpack (expected {targets.Count})");
            targets[index++].Assign(item, scope);
        }
        if (index < targets.Count) throw new JinjaException($"not enough values to unpack (expected {targets.Count}, got {index})");
    }

    public override Value Repack(Value value, Rendering rendering) => new TupleValue([.. value.Iterate(rendering).Zip(targets, (item, inner) => inner.Repack(item, rendering))]);
}
