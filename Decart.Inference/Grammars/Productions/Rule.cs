using Decart.Inference.Grammars.Languages;

namespace Decart.Inference.Grammars.Productions;

/// <summary>A production with a name, which others and it itself may refer to.</summary>
internal sealed class Rule(string name)
{
    /// <summary>The most levels of JSON's arrays and objects: as many as <see cref="System.Text.Json"/> reads unless it is told otherwise.</summary>
    public const int MaxDepth = 64;

    private readonly int[] _costs = [.. Enumerable.Repeat(Distances.Infinite, MaxDepth + 1)];

    /// <summary>For messages.</summary>
    public string Name => name;

    /// <summary>Set once, before the set is settled.</summary>
    public Production? Body { get; set; }

    public bool IsNullable { get; set; }

    /// <summary>See <see cref="Production.Cost"/>, by nesting depth.</summary>
    public Span<int> Costs => _costs;
}
