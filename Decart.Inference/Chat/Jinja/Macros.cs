namespace Decart.Inference.Chat.Jinja;

/// <summary>A macro's parameters and body, or those of a <c>call</c> block.</summary>
/// <param name="Name">Its name; null for a <c>call</c> block.</param>
/// <param name="Parameters">The parameters, those with defaults last.</param>
/// <param name="Body">What it writes.</param>
/// <param name="Mentioned">The names that the body mentions: whether it takes more arguments than it names depends on them.</param>
internal sealed record MacroDefinition(string? Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, Block Body, IReadOnlySet<string> Mentioned)
{
    public bool UsesCaller => Mentioned.Contains("caller");

    public bool TakesMore => Mentioned.Contains("varargs") && !HasParameter("varargs");

    public bool TakesKeywords => Mentioned.Contains("kwargs") && !HasParameter("kwargs");

    /// <summary>The variables of a call.</summary>
    public Scope Enter(Scope outer, CallArguments arguments)
    {
        Scope scope = outer.Inner();
        Dictionary<string, Value> keywords = [];
        foreach ((string name, Value value) in arguments.Keywords)
        {
            if (!keywords.TryAdd(name, value)) throw new JinjaException($"macro '{Name}' got multiple values for keyword argument '{name}'");
        }
        for (int i = 0; i < Parameters.Count; i++)
        {
            (string name, Expression? missing) = Parameters[i];
            Value? given = i < arguments.Positional.Count ? arguments.Positional[i] : keywords.Remove(name, out Value? named) ? named : null;
            scope.Set(name, given ?? missing?.Evaluate(scope) ?? new UndefinedValue($"parameter '{name}' was not provided"));
        }
        if (UsesCaller && !HasParameter("caller"))
            scope.Set("caller", keywords.Remove("caller", out Value? caller) ? caller : new UndefinedValue("No caller defined"));
        if (TakesKeywords) scope.Set("kwargs", Dictionary(keywords));
        else if (keywords.Count > 0) throw new JinjaException($"macro '{Name}' takes no keyword argument '{keywords.Keys.First()}'");
        if (TakesMore) scope.Set("varargs", new TupleValue([.. arguments.Positional.Skip(Parameters.Count)]));
        else if (arguments.Positional.Count > Parameters.Count) throw new JinjaException($"macro '{Name}' takes not more than {Parameters.Count} argument(s)");
        return scope;
    }

    private bool HasParameter(string name) => Parameters.Any(parameter => parameter.Name == name);

    private static DictionaryValue Dictionary(Dictionary<string, Value> keywords)
    {
        OrderedDictionary<Value, Value> entries = DictionaryValue.Create();
        foreach ((string name, Value value) in keywords) entries[new StringValue(name)] = value;
        return new DictionaryValue(entries);
    }
}

internal sealed class MacroStatement(MacroDefinition definition) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        scope.Set(definition.Name!, new MacroValue(definition, scope));
        return Flow.Next;
    }
}

/// <summary>Calls a macro that calls back to write the block's body.</summary>
internal sealed class CallStatement(CallExpression call, MacroDefinition definition) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        call.Evaluate(scope, new MacroValue(definition, scope)).Print(output, scope.Rendering);
        return Flow.Next;
    }
}

/// <summary>What an assistant said: training marks it, rendering writes it.</summary>
internal sealed class GenerationStatement(MacroDefinition definition) : Statement
{
    public override Flow Execute(Scope scope, MarkedBuilder output)
    {
        new MacroValue(definition, scope).Call(new CallArguments(scope.Rendering)).Print(output, scope.Rendering);
        return Flow.Next;
    }
}
