namespace Decart.Inference.Chat.Jinja;

/// <summary>A loop.</summary>
internal sealed class ForStatement(
    AssignmentTarget target, Expression items, Expression? condition, bool isRecursive, Block body, Block? otherwise) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        Value values = items.Evaluate(scope);
        scope.Rendering.Step(items.Position);
        return Run(values, scope, output, depth: 0);
    }

    /// <summary>Visits the items; of a recursive loop, also those that the template passes to <c>loop()</c>.</summary>
    /// <returns>How the statements around the loop go on: what stands after else may leave a loop around this one.</returns>
    private Flow Run(Value values, Scope scope, MarkedBuilder output, int depth)
    {
        IEnumerable<Value> chosen = values.Iterate(scope.Rendering);
        int? length = condition is null ? values.Length : null;
        if (condition is not null) chosen = chosen.Where(item => IsChosen(item, scope)).Select(item => target.Repack(item, scope.Rendering));
        using LoopValue loop = new(chosen, length, depth, isRecursive ? inner => Recurse(inner, scope, depth + 1) : null);
        bool completed = false;
        while (loop.MoveNext())
        {
            Scope inner = scope.Inner();
            inner.Set("loop", loop);
            target.Assign(loop.Current, inner);
            Flow flow = body.Execute(inner, output);
            if (flow == Flow.Break) break;
            // In Jinja an iteration that is cut short does not count for what stands after else.
            completed |= flow == Flow.Next;
        }
        return completed || otherwise is null ? Flow.Next : otherwise.Execute(scope.Inner(), output);
    }

    private bool IsChosen(Value item, Scope scope)
    {
        Scope inner = scope.Inner();
        target.Assign(item, inner);
        return condition!.Evaluate(inner).IsTrue;
    }

    private StringValue Recurse(Value values, Scope scope, int depth)
    {
        using RenderBudget.Level level = scope.Rendering.Budget.Enter();
        MarkedBuilder builder = new(scope.Rendering.Budget);
        Run(values, scope, builder, depth);
        return builder.ToValue();
    }
}

/// <summary>The variable <c>loop</c>. Looks ahead only when it is asked to.</summary>
internal sealed class LoopValue(IEnumerable<Value> items, int? length, int depth, Func<Value, StringValue>? recurse) : Value, IDisposable
{
    private IEnumerator<Value> _items = items.GetEnumerator();
    private int _index = -1;
    private int? _length = length;
    private Value? _previous, _next;
    private TupleValue? _lastSeen;

    public override string TypeName => "LoopContext";

    public override bool IsTrue => CountAll() > 0;

    public override int? Length => CountAll();

    public override bool IsCallable => true;

    public Value Current { get; private set; } = NoneValue.Instance;

    public bool MoveNext()
    {
        Value? following = _next ?? Read();
        _next = null;
        if (following is null) return false;
        _previous = _index >= 0 ? Current : null;
        Current = following;
        _index++;
        return true;
    }

    public override Value? Attribute(string name, Rendering rendering) => name switch
    {
        "index" => new IntegerValue(_index + 1),
        "index0" => new IntegerValue(_index),
        "revindex" => new IntegerValue(CountAll() - _index),
        "revindex0" => new IntegerValue(CountAll() - _index - 1),
        "first" => BooleanValue.Of(_index == 0),
        "last" => BooleanValue.Of(Peek() is null),
        "length" => new IntegerValue(CountAll()),
        "depth" => new IntegerValue(depth + 1),
        "depth0" => new IntegerValue(depth),
        "previtem" => _previous ?? new UndefinedValue("there is no previous item"),
        "nextitem" => Peek() ?? new UndefinedValue("there is no next item"),
        "cycle" => new FunctionValue(name, Cycle),
        "changed" => new FunctionValue(name, HasChanged),
        _ => null,
    };

    public override Value Call(CallArguments arguments) =>
        recurse?.Invoke(arguments.Only("loop")) ?? throw new JinjaException("the loop must have the 'recursive' marker to be called recursively");

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append($"<LoopContext {_index + 1}/{CountAll()}>");

    public void Dispose() => _items.Dispose();

    private Value? Read() => _items.MoveNext() ? _items.Current : null;

    private Value? Peek() => _next ??= Read();

    private int CountAll()
    {
        if (_length is { } known) return known;
        List<Value> rest = [];
        while (_items.MoveNext()) rest.Add(_items.Current);
        _items = rest.GetEnumerator();
        _length = _index + 1 + (_next is null ? 0 : 1) + rest.Count;
        return _length.Value;
    }

    private Value Cycle(CallArguments arguments) =>
        arguments.Positional.Count == 0 ? throw new JinjaException("no items for cycling given") : arguments.Positional[_index % arguments.Positional.Count];

    private BooleanValue HasChanged(CallArguments arguments)
    {
        TupleValue values = new([.. arguments.Positional]);
        if (_lastSeen is not null && Operators.AreEqual(_lastSeen, values, arguments.Rendering)) return BooleanValue.False;
        _lastSeen = values;
        return BooleanValue.True;
    }
}
