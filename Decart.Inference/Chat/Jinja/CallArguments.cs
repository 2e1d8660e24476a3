namespace Decart.Inference.Chat.Jinja;

/// <summary>The parameters of a function, filter or test.</summary>
/// <param name="Name">Its name, for messages.</param>
/// <param name="Parameters">The parameters' names; those that may be left out end in a question mark, and come last.</param>
internal sealed record Signature(string Name, params IReadOnlyList<string> Parameters);

/// <summary>What a call is given.</summary>
/// <param name="Rendering">What it happens in.</param>
/// <param name="Positional">Arguments by position.</param>
/// <param name="Keywords">Arguments by name.</param>
internal sealed record CallArguments(Rendering Rendering, IReadOnlyList<Value> Positional, IReadOnlyList<KeyValuePair<string, Value>> Keywords)
{
    public CallArguments(Rendering rendering, params IReadOnlyList<Value> positional) : this(rendering, positional, []) { }

    /// <summary>Assigns the arguments to parameters; null for those that were left out.</summary>
    public Value?[] Bind(Signature signature)
    {
        int count = signature.Parameters.Count;
        if (Positional.Count > count) throw new JinjaException($"{signature.Name}() takes at most {count} arguments ({Positional.Count} given)");
        Value?[] values = new Value?[count];
        for (int i = 0; i < Positional.Count; i++) values[i] = Positional[i];
        foreach ((string name, Value value) in Keywords)
        {
            int index = IndexOf(signature, name);
            if (index < 0) throw new JinjaException($"{signature.Name}() got an unexpected keyword argument '{name}'");
            if (values[index] is not null) throw new JinjaException($"{signature.Name}() got multiple values for argument '{name}'");
            values[index] = value;
        }
        for (int i = 0; i < count; i++)
        {
            if (values[i] is null && !signature.Parameters[i].EndsWith('?'))
                throw new JinjaException($"{signature.Name}() missing required argument '{signature.Parameters[i]}'");
        }
        return values;
    }

    /// <summary>The one argument that a function takes.</summary>
    public Value Only(string name) => Positional.Count == 1 && Keywords.Count == 0
        ? Positional[0]
        : throw new JinjaException($"{name}() takes exactly one argument ({Positional.Count + Keywords.Count} given)");

    /// <summary>An argument by name; null where it was not given.</summary>
    public Value? Keyword(string name) => Keywords.FirstOrDefault(keyword => keyword.Key == name).Value;

    private static int IndexOf(Signature signature, string name)
    {
        for (int i = 0; i < signature.Parameters.Count; i++)
        {
            if (signature.Parameters[i].AsSpan().TrimEnd('?').SequenceEqual(name)) return i;
        }
        return -1;
    }
}
