namespace Decart.Inference.Chat.Jinja;

/// <summary>A function of the language: a method of a value, or one that every template can call.</summary>
internal sealed class FunctionValue(string name, Func<CallArguments, Value> body) : Value
{
    public override string TypeName => "builtin_function_or_method";

    public override bool IsCallable => true;

    public override Value Call(CallArguments arguments) => body(arguments);

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append($"<built-in method {name}>");
}

/// <summary>What <c>namespace()</c> makes: the one value that a template can change, also from within a loop.</summary>
internal sealed class NamespaceValue(OrderedDictionary<Value, Value> members) : Value
{
    public override string TypeName => "Namespace";

    public override Value? Attribute(string name, Rendering rendering) => members.TryGetValue(new StringValue(name), out Value? value) ? value : null;

    public void Assign(string name, Value value) => members[new StringValue(name)] = value;

    public override void Represent(MarkedBuilder builder, Rendering rendering)
    {
        builder.Append("<Namespace ");
        new DictionaryValue(members).Represent(builder, rendering);
        builder.Append(">");
    }
}

/// <summary>A macro, or the body of a <c>call</c> block, which the macro that is called knows as <c>caller</c>.</summary>
internal sealed class MacroValue(MacroDefinition definition, Scope scope) : Value
{
    public override string TypeName => "Macro";

    public override bool IsCallable => true;

    public override Value Call(CallArguments arguments)
    {
        using RenderBudget.Level level = arguments.Rendering.Budget.Enter();
        MarkedBuilder builder = new(arguments.Rendering.Budget);
        definition.Body.Execute(definition.Enter(scope, arguments), builder);
        return builder.ToValue();
    }

    public override Value? Attribute(string name, Rendering rendering) => name switch
    {
        "name" => definition.Name is { } own ? new StringValue(own) : NoneValue.Instance,
        "arguments" => new TupleValue([.. definition.Parameters.Select(parameter => new StringValue(parameter.Name))]),
        "catch_kwargs" => BooleanValue.Of(definition.TakesKeywords),
        "catch_varargs" => BooleanValue.Of(definition.TakesMore),
        "caller" => BooleanValue.Of(definition.UsesCaller),
        _ => null,
    };

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append($"<Macro {(definition.Name is { } own ? $"'{own}'" : "anonymous")}>");
}
