namespace Decart.Inference.Chat.Jinja;

/// <summary>One rendering: its budget, its clock, and where in the template it is.</summary>
internal sealed class Rendering(RenderBudget budget, TimeProvider clock, IReadOnlyDictionary<string, Value> variables)
{
    public RenderBudget Budget { get; } = budget;

    public TimeProvider Clock { get; } = clock;

    /// <summary>Where in the template's text the rendering is.</summary>
    public int Position { get; private set; }

    /// <summary>Counts a step and notes where it happens.</summary>
    public void Step(int position)
    {
        Position = position;
        Budget.Step();
    }

    /// <summary>A variable that was given, or a function of the language; null where there is none.</summary>
    public Value? Global(string name) => variables.TryGetValue(name, out Value? value) ? value : Globals.Find(name);
}

/// <summary>The variables that are set in a part of a template.</summary>
internal sealed class Scope(Rendering rendering, Scope? outer)
{
    private readonly Dictionary<string, Value> _variables = [];

    public Rendering Rendering { get; } = rendering;

    public Scope Inner() => new(Rendering, this);

    public void Set(string name, Value value) => _variables[name] = value;

    public Value Get(string name)
    {
        for (Scope? scope = this; scope is not null; scope = scope.Enclosing)
        {
            if (scope._variables.TryGetValue(name, out Value? value)) return value;
        }
        return Rendering.Global(name) ?? UndefinedValue.Name(name);
    }

    private Scope? Enclosing => outer;
}
