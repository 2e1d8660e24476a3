using System.Diagnostics.CodeAnalysis;

namespace Decart.Inference.Chat.Jinja;

/// <summary>
/// A value of a template: a closed set of kinds that behave as Python's do. Nothing here reaches into .NET objects; what a template can name is what these classes answer.
/// </summary>
internal abstract class Value
{
    /// <summary>Python's name of the type, for messages.</summary>
    public abstract string TypeName { get; }

    /// <summary>What <c>if</c> makes of it.</summary>
    public virtual bool IsTrue => true;

    /// <summary>What <c>len()</c> makes of it; null where it has no length.</summary>
    public virtual int? Length => null;

    /// <summary>Whether <c>len()</c> and <c>[]</c> are for it.</summary>
    public virtual bool IsSequence => false;

    public virtual bool IsCallable => false;

    /// <summary>Its items, for a loop; null where it has none.</summary>
    public virtual IEnumerable<Value>? Items(Rendering rendering) => null;

    /// <summary>Writes it as <c>{{ }}</c> does.</summary>
    public virtual void Print(MarkedBuilder builder, Rendering rendering) => Represent(builder, rendering);

    /// <summary>Writes it as Python's <c>repr</c> does.</summary>
    public virtual void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append($"<{TypeName}>");

    /// <summary>What stands behind a dot; null where there is nothing.</summary>
    public virtual Value? Attribute(string name, Rendering rendering) => null;

    /// <summary>What stands in brackets; null where there is nothing.</summary>
    public virtual Value? Item(Value key, Rendering rendering) => null;

    public virtual Value Call(CallArguments arguments) => throw new JinjaException($"'{TypeName}' object is not callable");

    /// <summary>Its text.</summary>
    public virtual StringValue ToText(Rendering rendering)
    {
        MarkedBuilder builder = new(rendering.Budget);
        Print(builder, rendering);
        return builder.ToValue();
    }

    /// <summary>Its items; not every value has some.</summary>
    public IEnumerable<Value> Iterate(Rendering rendering) =>
        Items(rendering) is { } items ? Counted(items, rendering) : throw new JinjaException($"'{TypeName}' object is not iterable");

    /// <summary>Its items in a new list.</summary>
    public List<Value> ToList(Rendering rendering)
    {
        List<Value> list = [];
        foreach (Value item in Iterate(rendering)) list.Add(item);
        return list;
    }

    /// <summary>Stops the template where it uses something undefined for more than printing it.</summary>
    public virtual void RequireDefined() { }

    private static IEnumerable<Value> Counted(IEnumerable<Value> items, Rendering rendering)
    {
        foreach (Value item in items)
        {
            rendering.Budget.Step();
            yield return item;
        }
    }
}

/// <summary>None.</summary>
internal sealed class NoneValue : Value
{
    private NoneValue() { }

    public static NoneValue Instance { get; } = new();

    public override string TypeName => "NoneType";

    public override bool IsTrue => false;

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append("None");
}

/// <summary>True and False.</summary>
internal sealed class BooleanValue : Value
{
    private BooleanValue(bool value) => IsTrue = value;

    public static BooleanValue True { get; } = new(true);

    public static BooleanValue False { get; } = new(false);

    public override string TypeName => "bool";

    public override bool IsTrue { get; }

    public static BooleanValue Of(bool value) => value ? True : False;

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append(IsTrue ? "True" : "False");

    public override Value? Attribute(string name, Rendering rendering) => new IntegerValue(IsTrue ? 1 : 0).Attribute(name, rendering);
}

/// <summary>What a name, an attribute or an item stands for that is not there. It prints as nothing, is false and has no items; anything else stops the template.</summary>
internal sealed class UndefinedValue(string problem) : Value
{
    public override string TypeName => "Undefined";

    public override bool IsTrue => false;

    public override int? Length => 0;

    public override bool IsCallable => true;

    /// <summary>What is undefined, for the message.</summary>
    public string Problem { get; } = problem;

    public static UndefinedValue Name(string name) => new($"'{name}' is undefined");

    /// <summary>The answer to what a value does not have.</summary>
    public static UndefinedValue In(Value value, Value key, Rendering rendering) => key is StringValue name
        ? new($"'{ObjectName(value)}' has no attribute {Describe(name, rendering)}")
        : new($"{ObjectName(value)} has no element {Describe(key, rendering)}");

    public override IEnumerable<Value> Items(Rendering rendering) => [];

    public override void Print(MarkedBuilder builder, Rendering rendering) { }

    public override void Represent(MarkedBuilder builder, Rendering rendering) => builder.Append("Undefined");

    public override Value Attribute(string name, Rendering rendering) => Fail<Value>();

    public override Value Item(Value key, Rendering rendering) => Fail<Value>();

    public override Value Call(CallArguments arguments) => Fail<Value>();

    public override void RequireDefined() => Fail<Value>();

    [DoesNotReturn]
    private T Fail<T>() => throw new JinjaException(Problem);

    private static string ObjectName(Value value) => value is NoneValue ? "None" : $"{value.TypeName} object";

    private static string Describe(Value value, Rendering rendering)
    {
        MarkedBuilder builder = new(rendering.Budget);
        value.Represent(builder, rendering);
        return builder.ToValue().Text;
    }
}
